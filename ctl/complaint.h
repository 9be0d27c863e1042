/*
 * What bdatctl has complained of, kept so that --json can say it on standard output as well.
 *
 * ctl_complain() itself stands in ctl/daemon.h, beside the exit codes it goes with.
 */
#ifndef BDAT_CTL_COMPLAINT_H
#define BDAT_CTL_COMPLAINT_H

/* The latest complaint, which is then forgotten: its reader says it in its own answer. NULL if
 * there is none. The caller frees. */
char *complaint_take(void);

/* Writes {"error": TEXT} to standard output, and takes the complaint; nothing if there is none. */
void complaint_print_json(void);

#endif

/*
 * Runs another program without a shell and keeps what it wrote.
 */
#ifndef BDAT_CTL_PROCESS_H
#define BDAT_CTL_PROCESS_H

/* What came of it. `status` is its exit code, 127 if it could not be run, -1 if a signal ended
 * it. Texts end in NUL, the last line without its line end. */
struct process_result {
    int status;
    char *out, *err;
};

/* Runs argv[0] with these arguments (NULL at the end), found in PATH or where administrators'
 * programs stand, standard input from /dev/null. */
struct process_result process_run(const char *const argv[]);

void process_free(struct process_result *result);

#endif

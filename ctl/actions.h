/*
 * What the commands do: one function each, named by the command table.
 *
 * Each returns the exit code of bdatctl and has said on standard error what is wrong.
 */
#ifndef BDAT_CTL_ACTIONS_H
#define BDAT_CTL_ACTIONS_H

#include "ctl/command.h"

typedef enum exit_code run_fn(const struct ctl *ctl, const struct invocation *invocation);

/* show.c, show_clients.c: one question, one table. */
run_fn run_status, run_sessions, run_transfers, run_clients, run_incidents, run_config;

/* change.c: what changes the running daemon. */
run_fn run_suppress, run_release, run_reload;

/* explain.c, follow.c, top.c, completion.c. */
run_fn run_explain, run_follow, run_top, run_completion;

/* attach.c, check.c: Postfix. */
run_fn run_attach, run_detach, run_check;

#endif

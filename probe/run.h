/*
 * The vocabulary of a case: open, envelope, chunk, expectation, verdict.
 *
 * Each bool function returns false after it has given the verdict, so that a case reads
 * `if (run_a(run) && run_b(run)) run_pass(run, …);`. The first verdict stands, but a PASS
 * becomes a WARN where replies were slow.
 */
#ifndef BDAT_PROBE_RUN_H
#define BDAT_PROBE_RUN_H

#include "probe/case.h"

/* How long a malformed command may be left without an answer: some servers (Exchange) hold each
 * refusal back for 5 s. */
#define RUN_SHORT_WAIT_MS 10000

/* Verdicts. */
void run_pass(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool run_fail(struct run *run, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool run_warn(struct run *run, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

bool run_skip(struct run *run, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* FAIL: the payload of a refused chunk was run as commands; `answer` came for `command`. */
bool run_ran_payload(struct run *run, const char *command, const char *answer);

/* FAIL for the trouble of the session, which came after `what` was sent. */
bool run_trouble(struct run *run, const char *what);

/* Opens the session of this case; SKIP if that does not work. */
bool run_open(struct run *run);

/* MAIL FROM with the parameters the message wants. */
bool run_mail(struct run *run);

/* MAIL and RCPT for the survey's recipient; SKIP if the server has changed its mind. */
bool run_envelope(struct run *run);

/* The same for a further message of a session. `after` says what ended the one before it: "RSET"
 * or "BDAT LAST". A refusal for the sequence of commands (50z) is a FAIL. */
bool run_envelope_after(struct run *run, const char *after);

/* The MAIL line of this message, without CRLF, into `buffer`. */
void run_mail_line(const struct run *run, char *buffer, size_t size);

/* Sends BDAT with its payload, and reads the reply. */
bool run_chunk(struct run *run, const char *data, size_t length, bool last, struct reply *reply);

/* Reads a reply that may take its time; one that is late is waited for half as long again, and only
 * slow. */
bool run_reply(struct run *run, struct reply *reply);

/* True if no reply came, but there is time left in the session to look into it. */
bool run_can_wait(const struct run *run);

/* Finds out why a chunk was not answered within the time. True if its reply was only late, and
 * is now in *reply; the session is in step then. */
bool run_sound_silence(struct run *run, const char *label, struct reply *reply);

/* run_chunk(), and the chunk must be taken (2xx). */
bool run_chunk_taken(struct run *run, const char *data, size_t length, bool last,
                     struct reply *reply);

/* FAIL (or WARN with MAY_BE_REFUSED) unless the reply is 2xx. */
bool run_expect_taken(struct run *run, const struct reply *reply, const char *what);

/* FAIL unless the reply is 4xx or 5xx. */
bool run_expect_refused(struct run *run, const struct reply *reply, const char *what);

/* A command that must be answered 2xx. */
bool run_command(struct run *run, const char *command);

/* WARN: the server refused with `code` and hung up without having said that it would. */
bool run_hung_up(struct run *run, int code);

/* Ends the session by RSET and QUIT: exactly one reply to each, 250 and 221, or client and
 * server are out of step, which is what the replies are searched for. `payload_sent` says
 * that the payload was lines of commands, `refusal` is the code of a refusal that allows the
 * server to have hung up (0: it may not). */
bool run_finish_in_step(struct run *run, bool payload_sent, int refusal);

#endif

/*
 * A libmilter filter that does nothing: what attaching any milter costs.
 *
 *   null-filter SOCKET MODE
 *
 * MODE tells which events it has Postfix send:
 *   default       all of them, as a filter that never heard of SMFIP_NO…
 *   accept        all of them, but it accepts each session at connect
 *   lean          DATA, body (not answered) and end of message
 *   lean-connect  the same, and connect
 *   body-only     body (not answered) and end of message
 *   at-data       DATA, where it accepts the message
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libmilter/mfapi.h>

#define ENVELOPE_UNWANTED \
    (SMFIP_NOHELO | SMFIP_NOMAIL | SMFIP_NORCPT | SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOUNKNOWN)
#define LEAN_UNWANTED (ENVELOPE_UNWANTED | SMFIP_NOCONNECT | SMFIP_NR_BODY)

struct mode {
    const char *name;
    unsigned long unwanted;
    sfsistat at_connect;
    sfsistat at_data;
};

static const struct mode modes[] = {
    {"default", 0, SMFIS_CONTINUE, SMFIS_CONTINUE},
    {"accept", 0, SMFIS_ACCEPT, SMFIS_CONTINUE},
    {"lean", LEAN_UNWANTED, SMFIS_CONTINUE, SMFIS_CONTINUE},
    {"lean-connect", ENVELOPE_UNWANTED | SMFIP_NR_BODY, SMFIS_CONTINUE, SMFIS_CONTINUE},
    {"body-only", LEAN_UNWANTED | SMFIP_NODATA, SMFIS_CONTINUE, SMFIS_CONTINUE},
    {"at-data", LEAN_UNWANTED, SMFIS_CONTINUE, SMFIS_ACCEPT},
};

/* libmilter hands its callbacks nothing of ours. */
static const struct mode *mode;

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
    (void)ctx, (void)name, (void)address;
    return mode->at_connect;
}

static sfsistat on_text(SMFICTX *ctx, char *text)
{
    (void)ctx, (void)text;
    return SMFIS_CONTINUE;
}

static sfsistat on_path(SMFICTX *ctx, char **words)
{
    (void)ctx, (void)words;
    return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)ctx, (void)name, (void)value;
    return SMFIS_CONTINUE;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t length)
{
    (void)ctx, (void)data, (void)length;
    return mode->unwanted & SMFIP_NR_BODY ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_data(SMFICTX *ctx)
{
    (void)ctx;
    return mode->at_data;
}

static sfsistat on_step(SMFICTX *ctx)
{
    (void)ctx;
    return SMFIS_CONTINUE;
}

static sfsistat on_unknown(SMFICTX *ctx, const char *command)
{
    (void)ctx, (void)command;
    return SMFIS_CONTINUE;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long f2, unsigned long f3, unsigned long *wanted_actions,
                             unsigned long *wanted_steps, unsigned long *wanted_f2,
                             unsigned long *wanted_f3)
{
    (void)ctx, (void)actions, (void)f2, (void)f3;
    if (mode->unwanted == 0)
        return SMFIS_ALL_OPTS;
    *wanted_actions = 0;
    *wanted_steps = steps & mode->unwanted;
    *wanted_f2 = *wanted_f3 = 0;
    return SMFIS_CONTINUE;
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static char name[] = "null-filter";
    struct smfiDesc description = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_text,
        .xxfi_envfrom = on_path,
        .xxfi_envrcpt = on_path,
        .xxfi_header = on_header,
        .xxfi_eoh = on_step,
        .xxfi_body = on_body,
        .xxfi_eom = on_step,
        .xxfi_abort = on_step,
        .xxfi_close = on_step,
        .xxfi_unknown = on_unknown,
        .xxfi_data = on_data,
        .xxfi_negotiate = on_negotiate,
    };
    if (argc != 3 || (mode = find_mode(argv[2])) == NULL) {
        fputs("usage: null-filter SOCKET default|accept|lean|lean-connect|body-only|at-data\n",
              stderr);
        return 2;
    }
    umask(0); /* Postfix's own user connects */
    if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(description) != MI_SUCCESS)
        return 1;
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}

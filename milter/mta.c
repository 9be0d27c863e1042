#include "milter/mta.h"

#include <string.h>

const char *mta_name(enum mta mta)
{
    static const char *const names[MTA_COUNT] = {
        [MTA_AUTO] = "auto", [MTA_POSTFIX] = "postfix", [MTA_SENDMAIL] = "sendmail"};
    return names[mta];
}

enum mta mta_recognize(const char *version)
{
    if (version != NULL && strncmp(version, "8.", 2) == 0 && version[2] >= '0' &&
        version[2] <= '9')
        return MTA_SENDMAIL;
    return MTA_POSTFIX;
}

enum mta mta_expect(struct mta_memory *memory, int64_t now_ms)
{
    if (now_ms >= atomic_load(&memory->until_ms))
        return MTA_AUTO;
    return (enum mta)atomic_load(&memory->mta);
}

enum mta mta_last(struct mta_memory *memory)
{
    return (enum mta)atomic_load(&memory->mta);
}

void mta_learn(struct mta_memory *memory, enum mta mta, int64_t now_ms)
{
    atomic_store(&memory->mta, mta);
    atomic_store(&memory->until_ms, now_ms + MTA_MEMORY_MS);
}

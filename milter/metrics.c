#include "config.h"

#include "milter/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "milter/filter.h"

static void write_verdicts(FILE *out, const struct record_counts *counts)
{
    fputs("# HELP bdat_milter_transfers_total BDAT transfers by verdict.\n"
          "# TYPE bdat_milter_transfers_total counter\n", out);
    for (int i = 0; i < VERDICT_COUNT; i++)
        fprintf(out, "bdat_milter_transfers_total{verdict=\"%s\"} %" PRIu64 "\n",
                verdict_name((enum verdict)i), counts->verdicts[i]);
}

char *metrics_format(const struct app *app)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    write_verdicts(out, recorder_counts(app->recorder));
    if (fclose(out) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

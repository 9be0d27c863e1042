#include "tests/model/bdat_model.h"

#include <assert.h>
#include <string.h>

/* Postfix reads chunks in parts of VSTREAM_BUFSIZE. */
#define PART 4096

struct part {
    const char *octets;
    size_t length;
    size_t at;
    bool ended; /* a read beyond the end was tried */
};

void bdat_model_begin(struct bdat_model *model, size_t limit, char *text, size_t text_size,
                      char *line)
{
    *model =
        (struct bdat_model){.limit = limit, .text = text, .text_size = text_size, .line = line};
}

static bool read_octet(struct part *part, char *octet)
{
    if (part->at == part->length) {
        part->ended = true;
        return false;
    }
    *octet = part->octets[part->at++];
    return true;
}

/* Adds octets to the line until LF, until `most` were added, or until the part ends. */
static bool read_line(struct bdat_model *model, struct part *part, size_t most)
{
    char octet = 0;
    bool any = false;
    while (most-- > 0 && read_octet(part, &octet)) {
        model->line[model->line_length++] = octet;
        any = true;
        if (octet == '\n')
            return true;
    }
    if (any && octet == '\r' && read_octet(part, &octet)) {
        if (octet == '\n') {
            model->line[model->line_length++] = octet;
            return true;
        }
        part->at--;
    }
    return false;
}

static void put_text(struct bdat_model *model, const char *text, size_t length)
{
    assert(model->text_length + length <= model->text_size);
    memcpy(model->text + model->text_length, text, length);
    model->text_length += length;
}

/* Takes LF and all CRs before it off the line. */
static void strip_line_end(struct bdat_model *model)
{
    size_t crs = 0;
    model->line_length--;
    while (model->line_length > 0 && model->line[model->line_length - 1] == '\r') {
        model->line_length--;
        crs++;
    }
    if (crs == 0)
        model->bare_lf++;
    else
        model->extra_cr += crs - 1;
}

static void put_record(struct bdat_model *model, bool whole)
{
    model->received += model->line_length + 2;
    put_text(model, model->line, model->line_length);
    if (whole)
        put_text(model, "\r\n", 2);
    else
        model->cuts++;
    model->line_length = 0;
}

static void take_part(struct bdat_model *model, struct part *part, bool final)
{
    do {
        size_t room = model->line_length < model->limit ? model->limit - model->line_length : 1;
        if (read_line(model, part, room)) {
            strip_line_end(model);
            put_record(model, true);
        } else if (model->line_length > model->limit) {
            model->line_length--;
            part->at--;
            part->ended = false; /* vbuf_unget() clears the mark of the end */
            put_record(model, false);
        } else if (!part->ended) {
            put_record(model, false);
        } else if (model->line_length > 0 && final) {
            model->unended = 1;
            put_record(model, true);
        }
    } while (!part->ended);
}

void bdat_model_take_chunk(struct bdat_model *model, const char *chunk, size_t length, bool last)
{
    size_t done = 0;
    model->declared += length;
    do {
        size_t taken = length - done < PART ? length - done : PART;
        struct part part = {chunk + done, taken, 0, false};
        done += taken;
        take_part(model, &part, last && done == length);
    } while (done < length);
}

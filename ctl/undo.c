#include "config.h"

#include "ctl/undo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/daemon.h"
#include "ctl/file.h"
#include "ctl/text.h"

#define RECORD_NAME "bdat-milter.attached.json"
#define COPY_SUFFIX ".before-bdat-milter"

/* In place of a digest: the file was edited between two attaches, no copy fits any more. */
#define EDITED "edited"

static char *record_path(const char *config_dir)
{
    return text_format("%s/%s", config_dir, RECORD_NAME);
}

static char *copy_path(const char *path)
{
    return text_format("%s%s", path, COPY_SUFFIX);
}

json_t *undo_load(const char *config_dir)
{
    char *path = record_path(config_dir);
    json_t *record = json_load_file(path, 0, NULL);
    free(path);
    if (json_is_object(record))
        return record;
    json_decref(record);
    return json_pack("{s{}s{}}", "files", "parameters");
}

bool undo_is_exact(const json_t *record, const char *path)
{
    char digest[FILE_DIGEST_SIZE];
    const char *noted = json_get_text(json_object_get(record, "files"), path);
    char *copy = copy_path(path);
    bool exact = *noted != '\0' && access(copy, R_OK) == 0 && file_digest(path, digest) &&
                 strcmp(digest, noted) == 0;
    free(copy);
    return exact;
}

static int complain(const char *path)
{
    ctl_complain("%s: %s", path, strerror(errno));
    return -1;
}

int undo_keep(json_t *record, const char *path)
{
    json_t *files = json_object_get(record, "files");
    if (undo_is_exact(record, path))
        return 0;
    if (json_object_get(files, path) != NULL) {
        /* Edited since an earlier attach. */
        undo_spoil(record, path);
        return 0;
    }
    size_t length;
    char *text = file_read(path, &length);
    if (text == NULL)
        return complain(path);
    char *copy = copy_path(path);
    int failed = file_replace(copy, path, text, length) == 0 ? 0 : complain(copy);
    free(copy);
    free(text);
    return failed;
}

void undo_note(json_t *record, const char *path)
{
    char digest[FILE_DIGEST_SIZE];
    json_t *files = json_object_get(record, "files");
    if (strcmp(json_get_text(files, path), EDITED) != 0 && file_digest(path, digest))
        json_object_set_new(files, path, json_string(digest));
}

int undo_restore(const char *path)
{
    size_t length;
    char *copy = copy_path(path), *text = file_read(copy, &length);
    int failed = 0;
    if (text == NULL || file_replace(path, copy, text, length) != 0)
        failed = complain(text == NULL ? copy : path);
    free(text);
    free(copy);
    return failed;
}

void undo_remember(json_t *record, const char *parameter, const char *before, const char *after)
{
    json_t *parameters = json_object_get(record, "parameters");
    const json_t *earlier = json_object_get(parameters, parameter);
    json_t *entry = json_pack("{ss?ss}", "before", before, "after", after);
    if (earlier != NULL)
        json_object_set(entry, "before", json_object_get(earlier, "before"));
    json_object_set_new(parameters, parameter, entry);
}

const json_t *undo_recall(const json_t *record, const char *parameter)
{
    return json_object_get(json_object_get(record, "parameters"), parameter);
}

bool undo_drop(json_t *record, const char *parameter)
{
    return json_object_del(json_object_get(record, "parameters"), parameter) == 0;
}

void undo_spoil(json_t *record, const char *path)
{
    json_object_set_new(json_object_get(record, "files"), path, json_string(EDITED));
}

void undo_drop_file(json_t *record, const char *path)
{
    char *copy = copy_path(path);
    unlink(copy);
    free(copy);
    json_object_del(json_object_get(record, "files"), path);
}

int undo_save(const json_t *record, const char *config_dir)
{
    char *path = record_path(config_dir), *text = json_dumps(record, JSON_INDENT(2));
    char *main_cf = text_format("%s/main.cf", config_dir);
    int failed = text == NULL || file_replace(path, main_cf, text, strlen(text)) != 0;
    if (failed != 0)
        complain(path);
    free(main_cf);
    free(text);
    free(path);
    return failed != 0 ? -1 : 0;
}

void undo_forget(const json_t *record, const char *config_dir)
{
    const char *path;
    const json_t *digest;
    (void)digest;
    json_object_foreach(json_object_get(record, "files"), path, digest)
    {
        char *copy = copy_path(path);
        unlink(copy);
        free(copy);
    }
    char *own = record_path(config_dir);
    unlink(own);
    free(own);
}

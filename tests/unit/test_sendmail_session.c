/* A session of Sendmail's: what its events make of the ledger, and the octets counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "milter/sendmail_session.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct sendmail_time early = {1000, 5000};
static const struct sendmail_time late = {1700, 5700};

static struct sendmail_session begin(void)
{
    struct sendmail_session session;
    struct address client;
    assert_true(address_parse("192.0.2.1", strlen("192.0.2.1"), &client));
    sendmail_session_begin(&session, "client.example.net", &client, true);
    sendmail_session_helo(&session, "helo.example.net");
    return session;
}

static bool mail(struct sendmail_session *session, const char *path, const char *first,
                 const char *second)
{
    char texts[3][128];
    char *arguments[4] = {NULL};
    const char *given[] = {path, first, second};
    for (size_t i = 0; i < COUNT(given) && given[i] != NULL; i++) {
        strcpy(texts[i], given[i]);
        arguments[i] = texts[i];
    }
    return sendmail_session_mail(session, arguments, "Q1", &early);
}

static void envelope_stands_in_the_ledger(void **state)
{
    struct sendmail_session session = begin();
    (void)state;
    assert_false(mail(&session, "<a@example.net>", "SIZE=1234", "BODY=8BITMIME"));
    sendmail_session_rcpt(&session);
    sendmail_session_rcpt(&session);
    const struct transfer *transfer = &session.transfer;
    assert_string_equal(transfer->sender, "a@example.net");
    assert_string_equal(transfer->queue_id, "Q1");
    assert_string_equal(transfer->client_name, "client.example.net");
    assert_string_equal(transfer->helo, "helo.example.net");
    assert_true(transfer->has_client);
    assert_true(transfer->has_size);
    assert_int_equal(transfer->size, 1234);
    assert_int_equal(transfer->body_type, SMTP_BODY_8BITMIME);
    assert_int_equal(transfer->recipients, 2);
    assert_false(transfer->offered);
    assert_int_equal(sendmail_session_mode(&session), SESSION_NONE);
}

static void next_mail_forgets_the_last(void **state)
{
    struct sendmail_session session = begin();
    (void)state;
    mail(&session, "<a@example.net>", "SIZE=1234", NULL);
    sendmail_session_rcpt(&session);
    uint64_t id = session.transfer.id;
    mail(&session, "<>", NULL, NULL);
    assert_string_equal(session.transfer.sender, "");
    assert_false(session.transfer.has_size);
    assert_int_equal(session.transfer.recipients, 0);
    assert_true(session.transfer.id > id);
    assert_string_equal(session.transfer.helo, "helo.example.net");
}

static void long_parameters_are_left_out(void **state)
{
    struct sendmail_session session = begin();
    static char path[] = "<a@example.net>", size[] = "SIZE=77", huge[6000];
    char *arguments[] = {path, huge, size, NULL};
    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    assert_false(sendmail_session_mail(&session, arguments, NULL, &early));
    assert_true(session.transfer.has_size);
    assert_int_equal(session.transfer.size, 77);
    assert_string_equal(session.transfer.queue_id, "");
}

static void bdat_is_declared(void **state)
{
    struct sendmail_session session = begin();
    (void)state;
    mail(&session, "<a@example.net>", NULL, NULL);
    assert_false(sendmail_session_unknown(&session, "NONSENSE", &early));
    assert_false(sendmail_session_unknown(&session, "", &early));
    assert_false(sendmail_session_has_bdat(&session));
    assert_true(sendmail_session_unknown(&session, "BDAT 100", &early));
    assert_true(sendmail_session_unknown(&session, "bdat 23 last", &late));
    assert_true(sendmail_session_has_bdat(&session));
    const struct transfer *transfer = &session.transfer;
    assert_int_equal(transfer->mode, TRANSFER_BDAT);
    assert_int_equal(transfer->declared, 123);
    assert_int_equal(transfer->chunk_count, 2);
    assert_int_equal(transfer->chunks[1], 23);
    assert_true(transfer->last);
    assert_int_equal(transfer->started_ms, early.now_ms);
    assert_int_equal(transfer->last_chunk_ms, late.now_ms);
    assert_int_equal(transfer->evidence, 0);
    assert_int_equal(sendmail_session_mode(&session), SESSION_BDAT);
}

static void malformed_bdat_is_evidence(void **state)
{
    struct sendmail_session session = begin();
    (void)state;
    assert_true(sendmail_session_unknown(&session, "BDAT many", &early));
    assert_int_equal(session.transfer.evidence, EVIDENCE_MALFORMED);
    assert_int_equal(session.transfer.declared, 0);
}

static void binarymime_is_told(void **state)
{
    struct sendmail_session session = begin();
    (void)state;
    assert_true(mail(&session, "<a@example.net>", "BODY=binarymime", NULL));
    assert_true(sendmail_session_has_bdat(&session));
    assert_int_equal(session.transfer.evidence, EVIDENCE_BINARYMIME);
    assert_int_equal(session.transfer.chunk_count, 0);
}

static void data_after_bdat_keeps_the_envelope(void **state)
{
    struct sendmail_session session = begin();
    (void)state;
    mail(&session, "<a@example.net>", "SIZE=10", NULL);
    sendmail_session_unknown(&session, "BDAT x", &early);
    sendmail_session_end_bdat(&session);
    assert_false(sendmail_session_has_bdat(&session));
    sendmail_session_data(&session, &late);
    sendmail_session_body(&session, 12);
    assert_true(sendmail_session_exceeds_size(&session, 1));
    const struct transfer *transfer = &session.transfer;
    assert_string_equal(transfer->sender, "a@example.net");
    assert_int_equal(transfer->mode, TRANSFER_DATA);
    assert_int_equal(transfer->evidence, EVIDENCE_SIZE_EXCEEDED);
    assert_int_equal(transfer->chunk_count, 0);
    assert_int_equal(transfer->declared, 10);
    assert_int_equal(transfer->received, 12);
    assert_int_equal(transfer_drift(transfer), 2);
    assert_int_equal(sendmail_session_mode(&session), SESSION_MIXED);
}

/* The octets of a header line as they were on the wire. */
static const struct {
    const char *name, *value;
    uint64_t with_spaces, without; /* SMFIP_HDR_LEADSPC agreed on or not */
} headers[] = {
    {"Subject", " text", 15, 16}, /* without: as of "Subject:  text" */
    {"Subject", "text", 14, 15},
    {"X-Empty", "", 10, 10},
    {"X-Folded", " a\n b\n\tc", 21, 22},
    {"X-Folded", " a\r\n b", 17, 18},
    {"X", "\n y", 8, 9},
};

static void header_octets_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(headers); i++) {
        for (int spaces = 0; spaces <= 1; spaces++) {
            struct sendmail_session session;
            sendmail_session_begin(&session, "localhost", NULL, spaces == 1);
            sendmail_session_data(&session, &early);
            sendmail_session_header(&session, headers[i].name, headers[i].value);
            uint64_t want = spaces == 1 ? headers[i].with_spaces : headers[i].without;
            if (session.octets != want)
                fail_msg("row %zu, spaces %d: got %u, want %u", i, spaces,
                         (unsigned)session.octets, (unsigned)want);
        }
    }
}

static const struct {
    const char *parameter; /* of MAIL */
    uint64_t octets, slack;
    bool exceeded;
} sizes[] = {
    {"SIZE=100", 100, 1, false},
    {"SIZE=100", 101, 1, false},
    {"SIZE=100", 102, 1, true},
    {"SIZE=100", 65636, 65536, false},
    {"SIZE=100", 65637, 65536, true},
    {"SIZE=100", 5, 1, false},
    {"SIZE=100", 1000000, 0, false}, /* never compared */
    {"SIZE=0", 1000000, 1, false},   /* RFC 1870: 0 says nothing */
    {NULL, 1000000, 1, false},
};

static void size_is_compared(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct sendmail_session session = begin();
        mail(&session, "<a@example.net>", sizes[i].parameter, NULL);
        sendmail_session_data(&session, &early);
        sendmail_session_end_of_header(&session);
        sendmail_session_body(&session, sizes[i].octets - 2);
        if (sendmail_session_exceeds_size(&session, sizes[i].slack) != sizes[i].exceeded)
            fail_msg("row %zu", i);
        assert_int_equal(session.transfer.received, sizes[i].octets);
        sendmail_session_reset(&session);
        assert_int_equal(session.octets, 0);
    }
}

static void names_that_are_addresses_are_none(void **state)
{
    struct sendmail_session session;
    (void)state;
    sendmail_session_begin(&session, "[192.0.2.1]", NULL, true);
    assert_string_equal(session.transfer.client_name, "");
    assert_false(session.transfer.has_client);
    sendmail_session_begin(&session, "b\xc3\xa4r\n.example", NULL, true);
    assert_string_equal(session.transfer.client_name, "b??r?.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_stands_in_the_ledger),
        cmocka_unit_test(next_mail_forgets_the_last),
        cmocka_unit_test(long_parameters_are_left_out),
        cmocka_unit_test(bdat_is_declared),
        cmocka_unit_test(malformed_bdat_is_evidence),
        cmocka_unit_test(binarymime_is_told),
        cmocka_unit_test(data_after_bdat_keeps_the_envelope),
        cmocka_unit_test(header_octets_are_counted),
        cmocka_unit_test(size_is_compared),
        cmocka_unit_test(names_that_are_addresses_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

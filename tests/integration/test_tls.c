/* The whole way over TLS: https and wss, with a certificate that only the option makes trusted. */
#include "harness.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct wish {
    const char *name;  /* subjectAltName */
    long from_s, to_s; /* from now */
};

static const struct wish good = {"IP:127.0.0.1", -3600, 3600};

/* Signed by itself. */
static void write_certificate(const char *certificate_path, const char *key_path,
                              const struct wish *wish)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_true(key != NULL && certificate != NULL);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wish->from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wish->to_s);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"market", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    add_extension(certificate, NID_subject_alt_name, wish->name);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *file = fopen(certificate_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = fopen(key_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

struct tls_market {
    struct process *process;
    char feed[64], source[64];
    const char *certificate;
};

static struct tls_market start_tls_market(const struct wish *wish)
{
    struct tls_market market = {.certificate = sandbox_path("market.pem")};
    const char *key = sandbox_path("market.key");
    write_certificate(market.certificate, key, wish);
    market.process = market_start((const char *const[]){"--tls-cert", market.certificate,
                                                        "--tls-key", key, "--tokens", "50", NULL});
    snprintf(market.feed, sizeof market.feed, "https://127.0.0.1:%u", market.process->port);
    snprintf(market.source, sizeof market.source, "wss://127.0.0.1:%u/api/data",
             market.process->port);
    return market;
}

static bool has_scored_tokens(void *context)
{
    const struct process *daemon = context;
    json_t *json = http_json(daemon->port, "/tokens?min_score=-1&limit=100");
    size_t scored = 0, i;
    json_t *token;
    json_array_foreach(json_object_get(json, "items"), i, token) scored +=
        json_is_number(json_object_get(token, "score"));
    json_decref(json);
    return scored >= 10;
}

static void trusted_by_the_option(void)
{
    struct tls_market market = start_tls_market(&good);
    struct process *daemon =
        daemon_start(NULL, "tls.db",
                     (const char *const[]){"--feed", market.feed, "--source", market.source,
                                           "--tls-ca-file", market.certificate, NULL});
    expect_soon(has_scored_tokens, daemon);
    process_stop(daemon);
}

static bool says_both_certificates_are_wrong(void *context)
{
    return process_has_said(context, "\"outcome\":\"tls\"") &&
           process_has_said(context, "\"logger\":\"source\",\"msg\":\"no connection");
}

static void not_trusted_otherwise(void)
{
    struct tls_market market = start_tls_market(&good);
    struct process *daemon =
        daemon_start(NULL, "tls.db",
                     (const char *const[]){"--feed", market.feed, "--source", market.source, NULL});
    char mint[] = "6WiPdtpzZDo5CnEcSB99g6UYGaCEG49ZbRQ4UxPFpump";
    assert_int_equal(post_token(daemon, mint, 0), 201);
    expect_soon(says_both_certificates_are_wrong, daemon);
    process_stop(daemon);
}

/* Trusted, but of somebody else, or of yesterday: whoever could show such a one is not the
 * upstream. */
static void not_trusted_for_all_that(void)
{
    static const struct wish wishes[] = {{"DNS:example.org", -3600, 3600},
                                         {"IP:127.0.0.1", -7200, -3600},
                                         {"IP:127.0.0.1", 3600, 7200}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        char database[16], mint[] = "6WiPdtpzZDo5CnEcSB99g6UYGaCEG49ZbRQ4UxPFpump";
        struct tls_market market = start_tls_market(&wishes[i]);
        snprintf(database, sizeof database, "tls%zu.db", i);
        struct process *daemon =
            daemon_start(NULL, database,
                         (const char *const[]){"--feed", market.feed, "--source", market.source,
                                               "--tls-ca-file", market.certificate, NULL});
        assert_int_equal(post_token(daemon, mint, 0), 201);
        expect_soon(says_both_certificates_are_wrong, daemon);
        process_stop(daemon);
        process_stop(market.process);
    }
}

/* Where messages for people go is verified against the system's certificates. */
static void a_webhook_is_verified(void)
{
    struct tls_market market = start_tls_market(&good);
    char url[96], db[PATH_SIZE + 8];
    snprintf(url, sizeof url, "alert_webhook_url=%s/hook", market.feed);
    struct process *daemon = daemon_start(
        NULL, "hook.db",
        (const char *const[]){"--set", url, "--tls-ca-file", market.certificate, NULL});
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("hook.db"));
    const char *const arguments[] = {"ctl", "--db", db, "test-alert", NULL};
    struct process *ctl = process_start("ctl", moonwatch_program(), arguments, NULL);
    assert_true(process_wait(ctl, WAIT_S * SLOWNESS));
    expect_said(ctl, "webhook: failed (SSL peer certificate or SSH remote key was not OK)");
    process_stop(daemon);
}

int main(int argc, char *argv[])
{
    const struct integration_case cases[] = {
        {"trusted_by_the_option", trusted_by_the_option},
        {"not_trusted_otherwise", not_trusted_otherwise},
        {"not_trusted_for_all_that", not_trusted_for_all_that},
        {"a_webhook_is_verified", a_webhook_is_verified},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof *cases);
}

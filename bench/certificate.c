/* See certificate.h. */
#include "bench/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>

#define VALID_S 86400

static bool add_extension(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool fill(X509 *certificate, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -VALID_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1") &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool write_pem(const X509 *certificate, const char *path)
{
    FILE *file = fopen(path, "w");
    bool written = file != NULL && PEM_write_X509(file, certificate) == 1;
    return file != NULL && fclose(file) == 0 && written;
}

SSL_CTX *certificate_make(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool made = key != NULL && certificate != NULL && context != NULL && fill(certificate, key) &&
                write_pem(certificate, path) &&
                SSL_CTX_use_certificate(context, certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    X509_free(certificate);
    if (made)
        return context;
    fprintf(stderr, "bench: no certificate can be made for the upstream\n");
    SSL_CTX_free(context);
    return NULL;
}

/*
 * Which sanitizers a file is compiled for, whichever compiler does it: 0 or 1.
 * gcc has macros of its own for that, clang asks for features.
 */
#ifndef MOONWATCH_BASE_SANITIZER_H
#define MOONWATCH_BASE_SANITIZER_H

#ifdef __has_feature
#define SANITIZER_HAS(feature) __has_feature(feature)
#else
#define SANITIZER_HAS(feature) 0
#endif

#if defined(__SANITIZE_THREAD__) || SANITIZER_HAS(thread_sanitizer)
#define WITH_THREAD_SANITIZER 1
#else
#define WITH_THREAD_SANITIZER 0
#endif

#if WITH_THREAD_SANITIZER || defined(__SANITIZE_ADDRESS__) || SANITIZER_HAS(address_sanitizer)
#define WITH_SANITIZER 1
#else
#define WITH_SANITIZER 0
#endif

#endif

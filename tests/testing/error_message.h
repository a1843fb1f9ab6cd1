// What an error says.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "hone/support/error.h"

namespace hone::testing {

// The hone::Error that `body` raises; fails where it raises none.
template <typename Body>
Error error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  return {ErrorKind::internal, ""};
}

// Its kind alone.
template <typename Body>
ErrorKind error_kind(const Body& body) {
  return error_of(body).kind();
}

// Its message; fails where it is of another kind.
template <typename Body>
std::string error_message(const Body& body, ErrorKind kind = ErrorKind::bad_input) {
  const Error error = error_of(body);
  CHECK(std::string(kind_name(error.kind())) == kind_name(kind));
  return error.message();
}

}  // namespace hone::testing

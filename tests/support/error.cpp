#include "hone/support/error.h"

#include <catch2/catch.hpp>
#include <new>

#include "hone/support/threads.h"

using hone::Error;
using hone::ErrorKind;

TEST_CASE("contexts go in front of the message, the outermost first") {
  try {
    hone::in_context([] { return "reading m.onnx"; },
                     [] {
                       return hone::in_context([] { return "node 'conv1'"; },
                                               []() -> int { hone::bad_input("{} bytes too few", 12); });
                     });
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.message() == "reading m.onnx: node 'conv1': 12 bytes too few");
    CHECK(error.kind() == ErrorKind::bad_input);
  }
}

TEST_CASE("in_context hands the result on, and describes nothing without an error") {
  const int seven = hone::in_context(
      [] {
        FAIL("described");
        return "";
      },
      [] { return 7; });
  CHECK(seven == 7);
  int place = 0;
  int& reference = hone::in_context([] { return ""; }, [&]() -> int& { return place; });
  CHECK(&reference == &place);
}

TEST_CASE("running out of memory is a resource limit") {
  try {
    hone::in_context([] { return "folding"; }, [] { throw std::bad_alloc(); });
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.message() == "folding: out of memory");
    CHECK(error.kind() == ErrorKind::resource_limit);
  }
}

TEST_CASE("every kind has its exit code") {
  CHECK(hone::exit_code(ErrorKind::usage) == 2);
  CHECK(hone::exit_code(ErrorKind::bad_input) == 3);
  CHECK(hone::exit_code(ErrorKind::unsupported) == 4);
  CHECK(hone::exit_code(ErrorKind::io) == 6);
  CHECK(hone::exit_code(ErrorKind::resource_limit) == 7);
  CHECK(hone::exit_code(ErrorKind::internal) == 70);
  CHECK(hone::exit_code(ErrorKind::interrupted) == 130);
  hone::request_interrupt(15);
  CHECK(hone::exit_code(ErrorKind::interrupted) == 143);
  hone::request_interrupt(0);
}

TEST_CASE("an io error ends with the system's words") {
  CHECK_THROWS_WITH(hone::io_error(2, "opening {}", "m.onnx"), "opening m.onnx: No such file or directory");
}

TEST_CASE("quoted names can't play tricks on a terminal") {
  using std::string_literals::operator""s;
  CHECK(hone::quote("conv1") == "'conv1'");
  CHECK(hone::quote("") == "''");
  CHECK(hone::quote("größe/层") == "'größe/层'");
  CHECK(hone::quote("it's a \\") == "'it\\'s a \\\\'");
  CHECK(hone::quote("a\nb\tc\rd") == "'a\\nb\\tc\\rd'");
  CHECK(hone::quote("\x1b[31mred") == "'\\x1b[31mred'");
  CHECK(hone::quote("a\0b"s) == "'a\\x00b'");
  CHECK(hone::quote("\x7f") == "'\\x7f'");
  CHECK(hone::quote("\xff\xc3") == "'\\xff\\xc3'");
  CHECK(hone::quote("\xc0\xaf") == "'\\xc0\\xaf'");               // '/' in two bytes
  CHECK(hone::quote("\xed\xa0\x80") == "'\\xed\\xa0\\x80'");      // a surrogate
  CHECK(hone::quote("\u009b31m") == "'\\u{9b}31m'");              // CSI as one character
  CHECK(hone::quote("x\u202egpj.exe") == "'x\\u{202e}gpj.exe'");  // right to left
}

TEST_CASE("quoted names are cut after 120 characters, not bytes") {
  std::string name;
  for (int i = 0; i < 120; ++i) name += "é";
  CHECK(hone::quote(name) == "'" + name + "'");
  CHECK(hone::quote(name + "x") == "'" + name + "…'");
}

TEST_CASE("printable text has no quotes and is not cut") {
  CHECK(hone::printable("it's\n\\" + std::string(200, 'x')) == "it's\\n\\" + std::string(200, 'x'));
}

// Errors: contexts, exit codes, and names made fit for a terminal.
//
// Escaped besides invalid UTF-8: C0 and C1 control characters, and the characters that reorder or hide text on a
// terminal (U+202E and its kin), since a name in a model file may try either. Not handled: look-alike letters.
#include "hone/support/error.h"

#include <optional>
#include <system_error>

#include "hone/support/text.h"
#include "hone/support/threads.h"

namespace hone {
namespace {

// Room for any name a person chose; a message stays readable beside one.
constexpr std::size_t longest_name = 120;

bool misleads(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0)                                          // controls
         || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e)              // zero width, line ends, bidi
         || (c >= 0x2060 && c <= 0x206f) || c == 0x061c || c == 0xfeff || c == 0xad;  // invisible, bidi
}

// Appends the character that begins at `text[at]`, escaped where it must be, and returns the position after it.
std::size_t append_escaped(std::string& out, std::string_view text, std::size_t at, bool in_quotes) {
  std::size_t next = at;
  const std::optional<char32_t> decoded = decode_utf8(text, next);
  if (!decoded) {
    out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    return at + 1;
  }
  const char32_t c = *decoded;
  if (c == '\n') {
    out += "\\n";
  } else if (c == '\t') {
    out += "\\t";
  } else if (c == '\r') {
    out += "\\r";
  } else if (in_quotes && (c == '\'' || c == '\\')) {
    out += '\\';
    out += static_cast<char>(c);
  } else if (!misleads(c)) {
    out += text.substr(at, next - at);
  } else if (c < 0x80) {
    out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
  } else {
    out += fmt::format("\\u{{{:x}}}", static_cast<unsigned>(c));
  }
  return next;
}

}  // namespace

Error& Error::prepend(std::string_view context) {
  message_.insert(0, ": ").insert(0, context);
  return *this;
}

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return 2;
    case ErrorKind::bad_input:
      return 3;
    case ErrorKind::unsupported:
      return 4;
    case ErrorKind::io:
      return 6;
    case ErrorKind::resource_limit:
      return 7;
    case ErrorKind::interrupted:
      return 128 + (interrupt_signal() != 0 ? interrupt_signal() : 2);
    case ErrorKind::internal:
      break;
  }
  return 70;
}

const char* kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::bad_input:
      return "bad input";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::io:
      return "io";
    case ErrorKind::resource_limit:
      return "resource limit";
    case ErrorKind::interrupted:
      return "interrupted";
    case ErrorKind::internal:
      break;
  }
  return "internal";
}

std::string errno_text(int code) { return std::generic_category().message(code); }

std::string quote(std::string_view name) {
  std::string out = "'";
  std::size_t characters = 0;
  for (std::size_t at = 0; at < name.size(); ++characters) {
    if (characters == longest_name) {
      out += "…";
      break;
    }
    at = append_escaped(out, name, at, true);
  }
  out += '\'';
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) at = append_escaped(out, text, at, false);
  return out;
}

}  // namespace hone

// The one exception type of the library, and the ways to raise it.
//
// An Error has a kind, which decides the exit code of a tool, and a message that grows outward-in as it travels up:
//   reading m.onnx: node 'conv1' (Conv): weight 'w': 12 bytes of data where the shape needs 36864
// Whoever knows more about the place adds a context; whoever raises the error says what was found, what was expected,
// and what to do. Names that come from a file go through quote(): they may hold anything.
#pragma once

#include <fmt/core.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace hone {

// Each kind maps to one exit code of the tools; see exit_code().
enum class ErrorKind {
  usage,           // 2: the command line, a pass pipeline or a gate expression is wrong
  bad_input,       // 3: a model or data file is not what it should be
  unsupported,     // 4: valid, but this build can't do it
  io,              // 6: a file is missing, unreadable, or can't be written
  resource_limit,  // 7: the work would pass --max-memory or another limit
  interrupted,     // 130: SIGINT; 143: SIGTERM, see interrupt_signal() in threads.h
  internal,        // 70: a bug of ours
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const { return message_; }
  ErrorKind kind() const { return kind_; }

  // Puts "context: " in front of the message.
  Error& prepend(std::string_view context);

 private:
  ErrorKind kind_;
  std::string message_;
};

int exit_code(ErrorKind kind);
const char* kind_name(ErrorKind kind);  // "bad input", for reports

template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::bad_input, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::unsupported, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void usage_error(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::usage, fmt::format(format, std::forward<Args>(args)...));
}
// An io error that ends with what the system says about `code`, an errno: "opening m.onnx: No such file or directory".
template <typename... Args>
[[noreturn]] void io_error(int code, fmt::format_string<Args...> format, Args&&... args);

// The system's words for an errno.
std::string errno_text(int code);

// Runs `body`; an Error that leaves it gets the context that `describe()` returns (called only then). std::bad_alloc
// becomes a resource_limit Error.
template <typename Describe, typename Body>
decltype(auto) in_context(Describe&& describe, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.prepend(describe());
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::resource_limit, "out of memory").prepend(describe());
  }
}

// A name from a file, ready to be printed: in single quotes, control characters, invalid UTF-8 and quotes escaped,
// cut after 120 characters.
std::string quote(std::string_view name);

// Text that may hold anything, as one line that a terminal can't misread: as quote(), but without quotes and uncut.
std::string printable(std::string_view text);

template <typename... Args>
[[noreturn]] void io_error(int code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::io, fmt::format(format, std::forward<Args>(args)...) + ": " + errno_text(code));
}

}  // namespace hone

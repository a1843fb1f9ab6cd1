// hone: the command line of the library; one file beside this one for each command. The only place that turns an error
// into an exit code.
//
// `hone-convert ...` (the same binary under another name) is `hone convert ...`.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <regex>
#include <string>
#include <vector>

#include "common.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "hone/support/version.h"

namespace hone::tools {
namespace {

constexpr int kUsage = 2;

void on_signal(int signal) {
  if (interrupt_signal() != 0) std::_Exit(128 + signal);  // the second time: at once, nothing cleaned up
  request_interrupt(signal);
}

void complain(const std::string& message) { fmt::print(stderr, "hone: error: {}\n", message); }

// "did you mean" for what CLI11 calls an extra argument.
std::string suggestion(const CLI::App& command, const std::string& word) {
  std::vector<std::string> candidates;
  if (word.starts_with("-")) {
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) candidates.push_back("--" + name);
    }
  } else {
    for (const CLI::App* sub : command.get_subcommands({})) candidates.push_back(sub->get_name());
  }
  const std::string name = word.substr(0, word.find('='));
  const std::string near = nearest(name, candidates);
  return near.empty() ? "" : fmt::format(", did you mean '{}'?", near);
}

// What CLI11 says of numbers that are too small names the largest double, all of its 309 digits.
std::string explain(const CLI::ParseError& error) {
  const std::string text = error.what();
  static const std::regex out_of_range("^(.*: )Value (\\S+) not in range \\S+ to 1797\\d{305}.*$");
  std::smatch found;
  if (!std::regex_match(text, found, out_of_range)) return text;
  return found[1].str() + found[2].str() + (found[2].str()[0] == '-' ? " is below 0" : " is not above 0");
}

const CLI::App& deepest(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

int run(int argc, char** argv) {
  Common common;
  CLI::App app{"Optimize, fine-tune and validate ONNX models: small tools that pipe into each other.", "hone"};
  app.set_version_flag("--version", "hone " + std::string(version()), "print the version");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "print this help");
  app.get_formatter()->column_width(34);
  Command hone(app);
  add_convert(hone, common);
  add_run(hone, common);
  add_inspect(hone, common);
  add_prune(hone, common);
  add_quantize(hone, common);
  add_finetune(hone, common);
  add_validate(hone, common);
  add_extract(hone, common);
  add_split(hone, common);
  add_merge(hone, common);
  add_bench(hone, common);
  add_passes(hone, common);

  // An option that may be repeated takes one word each time: `--gate EXPR MODEL` names a model.
  for (CLI::App* command : app.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      if (option->nonpositional()) option->allow_extra_args(false);
    }
  }

  std::vector<std::string> words(argv + 1, argv + argc);
  const char* slash = std::strrchr(argv[0], '/');
  const std::string name = slash ? slash + 1 : argv[0];
  if (name.starts_with("hone-")) words.insert(words.begin(), name.substr(5));
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  if (words.empty()) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  const std::string first = words.back();  // parse() takes the words away
  try {
    app.parse(words);
  } catch (const Error& error) {
    common.report_error(deepest(app).get_name(), error);
    throw;
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ExtrasError&) {
    const CLI::App& command = deepest(app);
    const std::vector<std::string> extras = command.remaining();
    const std::string word =
        extras.empty() ? (app.remaining(true).empty() ? "" : app.remaining(true).front()) : extras.front();
    complain(fmt::format("{} takes no {}{}", &command == &app ? "hone" : "hone " + command.get_name(),
                         hone::quote(word), suggestion(command, word)));
    return kUsage;
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = deepest(app);
    // `hone conver x`: CLI11 only says that a subcommand is missing.
    if (&command == &app && !first.starts_with("-")) {
      complain(fmt::format("there is no command {}{}", hone::quote(first), suggestion(app, first)));
    } else {
      complain(
          fmt::format("{}; see `hone {}--help`", explain(error), &command == &app ? "" : command.get_name() + " "));
    }
    return kUsage;
  }
  return common.exit_code();
}

}  // namespace

int guarded(int argc, char** argv) {
  try {
    const int code = run(argc, argv);
    // What was printed is only now known to have arrived.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail(ErrorKind::io, "writing to standard output failed");
    return code;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) return 128 + interrupt_signal();
    complain(error.message());
    return exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    complain("out of memory");
    return exit_code(ErrorKind::resource_limit);
  } catch (const std::exception& error) {
    complain(fmt::format("internal error: {}; please report it", error.what()));
    return exit_code(ErrorKind::internal);
  }
}

}  // namespace hone::tools

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = hone::tools::on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return hone::tools::guarded(argc, argv);
}

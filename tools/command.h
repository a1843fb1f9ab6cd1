// The options of a command: what the commands need of CLI11, whose header takes ten seconds to compile. Only command.cpp
// and main.cpp include it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace hone::tools {

// A handle, as Command is: copies mean the same option.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option& group(const std::string& heading);   // of --help
  Option& type_name(const std::string& word);  // stands for the value in --help
  Option& show_default();                      // what the variable holds now
  Option& required();
  Option& delimiter(char between_values);
  Option& excludes(const Option& other);
  Option& needs(const Option& other);
  // What the value has to be.
  Option& positive();
  Option& not_negative();
  Option& between(int least, int largest);
  Option& between(double least, double largest);
  Option& one_of(const std::vector<std::string>& words);

 private:
  CLI::Option* option_;
};

class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}
  Command add_command(const std::string& name, const std::string& description);
  // `name` as CLI11 has it: "-o,--output", or without dashes for a positional one. `target` is filled when the command
  // line is read; a vector takes every value of an option that is repeated. For the types listed in command.cpp.
  template <typename T>
  Option add_option(const std::string& name, T& target, const std::string& description);
  Option add_flag(const std::string& name, bool& target, const std::string& description);
  // One that is there already; `name` with its dashes.
  bool has_option(const std::string& name) const;
  Option option(const std::string& name) const;
  std::size_t count(const std::string& name) const;  // how often it was given
  void footer(const std::string& text);              // of --help
  void callback(std::function<void()> run);

 private:
  CLI::App* app_;
};

}  // namespace hone::tools

#include "command.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

namespace hone::tools {

Option& Option::group(const std::string& heading) {
  option_->group(heading);
  return *this;
}
Option& Option::type_name(const std::string& word) {
  option_->type_name(word);
  return *this;
}
Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}
Option& Option::required() {
  option_->required();
  return *this;
}
Option& Option::delimiter(char between_values) {
  option_->delimiter(between_values);
  return *this;
}
Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}
Option& Option::needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}
Option& Option::positive() {
  option_->check(CLI::PositiveNumber);
  return *this;
}
Option& Option::not_negative() {
  option_->check(CLI::NonNegativeNumber);
  return *this;
}
Option& Option::between(int least, int largest) {
  option_->check(CLI::Range(least, largest));
  return *this;
}
Option& Option::between(double least, double largest) {
  option_->check(CLI::Range(least, largest));
  return *this;
}
Option& Option::one_of(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}

Command Command::add_command(const std::string& name, const std::string& description) {
  return Command(*app_->add_subcommand(name, description));
}
template <typename T>
Option Command::add_option(const std::string& name, T& target, const std::string& description) {
  return Option(app_->add_option(name, target, description));
}
Option Command::add_flag(const std::string& name, bool& target, const std::string& description) {
  return Option(app_->add_flag(name, target, description));
}
bool Command::has_option(const std::string& name) const { return app_->get_option_no_throw(name) != nullptr; }
Option Command::option(const std::string& name) const { return Option(app_->get_option(name)); }
std::size_t Command::count(const std::string& name) const { return app_->count(name); }
void Command::footer(const std::string& text) { app_->footer(text); }
void Command::callback(std::function<void()> run) { app_->callback(std::move(run)); }

#define HONE_OPTION(...) \
  template Option Command::add_option(const std::string& name, __VA_ARGS__& target, const std::string& description);
HONE_OPTION(std::string)
HONE_OPTION(std::vector<std::string>)
HONE_OPTION(int)
HONE_OPTION(std::int64_t)
HONE_OPTION(std::uint64_t)
HONE_OPTION(float)
HONE_OPTION(double)
HONE_OPTION(std::optional<std::int64_t>)
HONE_OPTION(std::optional<double>)
HONE_OPTION(std::vector<double>)
#undef HONE_OPTION

}  // namespace hone::tools

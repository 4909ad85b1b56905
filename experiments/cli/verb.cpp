#include "experiments/cli/verb.h"

#include <spdlog/fmt/fmt.h>

#include <sstream>

#include "core/base/error.h"
#include "core/base/spelling.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

std::string unknown(const Verb& verb, const std::string& option) {
  std::vector<std::string> names;
  for (const auto& known : verb.options.options()) names.push_back("--" + known->long_name());
  const std::vector<std::string_view> possible(names.begin(), names.end());
  const std::string_view near = nearest(std::string_view(option).substr(0, option.find('=')), possible);
  const std::string what = fmt::format("meshattn {} has no option {}", verb.name, option);
  if (near.empty()) return fmt::format("{}: meshattn {} --help lists them", what, verb.name);
  return fmt::format("{}: did you mean {}?", what, near);
}

/// The options as given. Words without a dash, and options where a value is due, are errors.
po::parsed_options parse(const Verb& verb, const std::vector<std::string>& given) {
  const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  po::command_line_parser parser(given);
  parser.options(verb.options).style(style);
  po::positional_options_description arguments;
  if (!verb.argument.empty()) parser.positional(arguments.add(verb.argument.c_str(), 1));
  po::parsed_options parsed = parser.run();
  for (const auto& option : parsed.options) {
    if (option.string_key.empty())
      throw InvalidInput(fmt::format("unexpected argument '{}': meshattn {} takes options only",
                                     option.value.empty() ? "" : option.value.front(), verb.name));
    for (const std::string& value : option.value)
      if (value.empty() || value.starts_with("--"))
        throw InvalidInput(fmt::format("--{} needs a value, not '{}'", option.string_key, value));
  }
  return parsed;
}

}  // namespace

po::variables_map parse_arguments(const Verb& verb, std::span<const std::string> given) {
  po::variables_map values;
  try {
    po::store(parse(verb, {given.begin(), given.end()}), values);
  } catch (const po::unknown_option& e) {
    throw InvalidInput(unknown(verb, e.get_option_name()));
  } catch (const po::multiple_occurrences& e) {
    throw InvalidInput(fmt::format("{} is given more than once", e.get_option_name()));
  } catch (const po::too_many_positional_options_error&) {
    throw InvalidInput(
        fmt::format("meshattn {} takes one {}: meshattn {} --help", verb.name, verb.argument, verb.name));
  } catch (const po::invalid_command_line_syntax& e) {
    const bool extra = e.kind() == po::invalid_syntax::extra_parameter;
    throw InvalidInput(fmt::format("{} {}", e.get_option_name(), extra ? "takes no value" : "needs a value"));
  } catch (const po::error& e) {
    throw InvalidInput(e.what());
  }
  return values;
}

std::string help_of(const Verb& verb) {
  std::ostringstream text;
  text << "meshattn " << verb.name << ": " << verb.summary << "\n\nusage: meshattn " << verb.name << " [options]";
  if (!verb.argument.empty()) text << ' ' << verb.options.find(verb.argument, false).semantic()->name();
  text << '\n' << verb.options << "\nexample:\n" << verb.example;
  return text.str();
}

}  // namespace meshattn

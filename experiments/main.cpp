#include <spdlog/fmt/fmt.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <iostream>
#include <vector>

#include "core/base/enum_names.h"
#include "core/base/invalid_option.h"
#include "core/base/output_file.h"
#include "core/base/spelling.h"
#include "experiments/cli/verb.h"

namespace {

using namespace meshattn;
namespace po = boost::program_options;

std::vector<Verb> verbs() {
  std::vector<Verb> all{plan_verb(),      simulate_verb(), compare_verb(), run_verb(),
                        calibrate_verb(), validate_verb(), topology_verb()};
  all.push_back(completion_verb(all));
  return all;
}

std::string help(const std::vector<Verb>& all) {
  std::string text =
      "meshattn plans, proves, simulates and runs exact distributed attention.\n\nusage: meshattn VERB [options]\n\n";
  for (const Verb& verb : all) text += fmt::format("  {:<12}{}\n", verb.name, verb.summary);
  return text +
         "\nmeshattn VERB --help lists a verb's options; meshattn --version says what was built in.\n\nexample:\n"
         "  meshattn compare --cluster dgx-h100 --gpus 64 --model llama-3.1-8b --seq 256K --mask causal\n";
}

std::string version() {
  return fmt::format(
      "meshattn {}\nbuild type       {}\nSimGrid          {}\nGPU runtime      {}\nprocesses        {}\n",
      MESHATTN_VERSION, MESHATTN_BUILD_TYPE, MESHATTN_SIMULATOR, MESHATTN_GPU_RUNTIME, MESHATTN_PROCESSES);
}

const Verb& find(const std::vector<Verb>& all, const std::string& name) {
  std::vector<std::string_view> names;
  for (const Verb& verb : all) {
    if (verb.name == name) return verb;
    names.push_back(verb.name);
  }
  const std::string_view near = nearest(name, names);
  throw InvalidInput(near.empty() ? fmt::format("unknown verb '{}': possible are {}", name, fmt::join(names, ", "))
                                  : fmt::format("unknown verb '{}': did you mean {}?", name, near));
}

void set_log_level(const po::variables_map& given) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("meshattn"));
  spdlog::set_level(spdlog::level::warn);
  if (!given.count("log-level")) return;
  using spdlog::level::level_enum;
  constexpr EnumNames<level_enum, 5> kLevels{{{level_enum::debug, "debug"},
                                              {level_enum::info, "info"},
                                              {level_enum::warn, "warn"},
                                              {level_enum::err, "error"},
                                              {level_enum::off, "off"}}};
  spdlog::set_level(kLevels.parse("--log-level", given["log-level"].as<std::string>()));
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw InvalidInput("no verb: meshattn --help lists them");
  const std::vector<Verb> all = verbs();
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h" || first == "--version") {
    if (arguments.size() > 1) throw InvalidInput(fmt::format("unexpected argument '{}'", arguments[1]));
    std::cout << (first == "--version" ? version() : help(all));
    return 0;
  }
  if (first.starts_with("-")) throw InvalidInput(fmt::format("'{}' is not a verb: meshattn --help lists them", first));
  const Verb& verb = find(all, first);
  const po::variables_map given = parse_arguments(verb, std::span(arguments).subspan(1));
  if (given.count("help")) {
    std::cout << help_of(verb);
    return 0;
  }
  set_log_level(given);
  return verb.run(given);
}

/// In one write, as other processes may print, too.
void print_error(const std::string& error) { fmt::print(stderr, "meshattn: {}\n", one_line(error)); }

}  // namespace

int main(int argc, char** argv) {
  try {
    const int status = run({argv + 1, argv + argc});
    meshattn::flush_output();
    return status;
  } catch (const meshattn::InvalidOption& e) {
    print_error(e.with_prefix("--"));
    return 2;
  } catch (const meshattn::InvalidInput& e) {
    print_error(e.what());
    return 2;
  } catch (const std::bad_alloc&) {
    print_error("not enough memory");
    return 1;
  } catch (const std::exception& e) {
    print_error(e.what());
    return 1;
  }
}

#include "experiments/cli/completion.h"

#include <spdlog/fmt/fmt.h>

#include <map>

#include "core/algorithms/catalogue.h"
#include "core/base/ini_file.h"
#include "core/cluster/cluster_file.h"
#include "experiments/cli/data_folder.h"
#include "experiments/cli/models.h"

namespace meshattn {

namespace {

using Option = boost::program_options::option_description;
using Names = std::vector<std::string>;

/// What the value of an option is called in --help; empty if it takes none.
std::string value_name(const Option& option) {
  return option.semantic()->max_tokens() == 0 ? "" : option.semantic()->name();
}

/// Whether a path can be given besides the names.
bool takes_path(const std::string& option) { return option == "cluster" || option == "model" || option == "framework"; }

/// The case of a bash script that completes a value; empty for text and numbers.
std::string bash_value(const Option& option) {
  const std::string& name = option.long_name();
  const std::string value = value_name(option);
  if (value == "FILE") return fmt::format("    --{}) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n", name);
  if (value == "DIR") return fmt::format("    --{}) COMPREPLY=($(compgen -d -- \"$word\")) ;;\n", name);
  const Names names = values_of(name);
  if (names.empty()) return fmt::format("    --{}) ;;\n", name);
  return fmt::format("    --{}) COMPREPLY=($(compgen {}-W '{}' -- \"$word\")) ;;\n", name,
                     takes_path(name) ? "-f " : "", fmt::join(names, " "));
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (char c : text) result += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return result + "'";
}

}  // namespace

std::vector<std::string> values_of(const std::string& option) {
  static const std::map<std::string, Names> kNames{
      {"check", {"yes", "no"}},
      {"device", {"cuda", "cpu"}},
      {"dtype", {"bf16", "fp16", "fp32"}},
      {"exchange", {"ring", "direct"}},
      {"kernels", {"fast", "repeatable", "reference"}},
      {"log-level", {"debug", "info", "warn", "error", "off"}},
      {"mask", {"full", "causal", "window:", "documents:"}},
      {"order", {"naive", "greedy", "optimal", "topology"}},
      {"partition", {"contiguous", "striped", "zigzag", "document-contiguous", "document-zigzag"}},
      {"pass", {"forward", "backward", "both"}},
      {"placement", {"linear", "search", "grid:"}},
      {"shell", {"bash", "zsh", "fish"}},
      {"transport", {"copies", "nccl"}},
      {"wire-dtype", {"fp32", "bf16"}}};
  if (option == "cluster") return cluster_names(topologies_folder());
  if (option == "framework") return ini_names(topologies_folder() / "frameworks");
  if (option == "model") return model_names(models_folder());
  if (option == "algorithm") {
    Names names;
    for (const Algorithm& algorithm : algorithms()) names.emplace_back(algorithm.name);
    return names;
  }
  const auto found = kNames.find(option);
  return found == kNames.end() ? Names() : found->second;
}

std::string bash_completion(std::span<const Verb> verbs) {
  Names verb_names;
  std::string options;                        // cases: by verb
  std::map<std::string, std::string> values;  // cases: by option, which means the same to all verbs
  for (const Verb& verb : verbs) {
    verb_names.push_back(verb.name);
    Names names = values_of(verb.argument);
    for (const auto& option : verb.options.options()) {
      names.push_back("--" + option->long_name());
      if (!value_name(*option).empty()) values[option->long_name()] = bash_value(*option);
    }
    options += fmt::format("    {}) words='{}' ;;\n", verb.name, fmt::join(names, " "));
  }
  std::string value_cases;
  for (const auto& [option, text] : values) value_cases += text;
  return fmt::format(
      R"(# Completes the options of meshattn in bash. Made by: meshattn completion bash
_meshattn() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD - 1]}} words=''
  [[ $word != '=' ]] || word=''
  [[ $option != '=' ]] || option=${{COMP_WORDS[COMP_CWORD - 2]}}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
    return
  fi
  case $option in
{}    *) case ${{COMP_WORDS[1]}} in
{}      esac
      COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
  esac
  [[ ${{COMPREPLY-}} != *: ]] || compopt -o nospace 2> /dev/null || true
}}
complete -o filenames -F _meshattn meshattn
)",
      fmt::join(verb_names, " "), value_cases, options);
}

std::string fish_completion(std::span<const Verb> verbs) {
  std::string text =
      "# Completes the options of meshattn in fish. Made by: meshattn completion fish\n"
      "complete -c meshattn -f\n";
  for (const Verb& verb : verbs)
    text += fmt::format("complete -c meshattn -n __fish_use_subcommand -a {} -d {}\n", verb.name, quoted(verb.summary));
  for (const Verb& verb : verbs) {
    const std::string of_verb = fmt::format("complete -c meshattn -n '__fish_seen_subcommand_from {}'", verb.name);
    if (!verb.argument.empty()) text += fmt::format("{} -a '{}'\n", of_verb, fmt::join(values_of(verb.argument), " "));
    for (const auto& option : verb.options.options()) {
      const std::string name = option->long_name(), value = value_name(*option);
      const Names names = values_of(name);
      text += fmt::format("{} -l {}", of_verb, name);
      if (value == "FILE" || value == "DIR" || takes_path(name))
        text += " -r -F";
      else if (!value.empty())
        text += " -x";
      if (!names.empty()) text += fmt::format(" -a '{}'", fmt::join(names, " "));
      text += fmt::format(" -d {}\n", quoted(option->description()));
    }
  }
  return text;
}

}  // namespace meshattn

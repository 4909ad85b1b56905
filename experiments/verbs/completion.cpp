#include "experiments/cli/completion.h"

#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "core/base/error.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/verb.h"

namespace meshattn {

namespace {

std::string script(const std::string& shell, const std::vector<Verb>& verbs) {
  if (shell == "bash") return bash_completion(verbs);
  if (shell == "fish") return fish_completion(verbs);
  if (shell == "zsh")
    return "autoload -Uz compinit bashcompinit\n(( ${+functions[compdef]} )) || compinit\nbashcompinit\n" +
           bash_completion(verbs);
  throw InvalidInput(fmt::format("unknown shell '{}': possible are bash, zsh, fish", shell));
}

}  // namespace

Verb completion_verb(std::vector<Verb> verbs) {
  Verb verb{"completion",
            "a script for a shell, which then completes verbs, options and values",
            "  meshattn completion fish > ~/.config/fish/completions/meshattn.fish\n"
            "  source <(meshattn completion bash)      (in ~/.bashrc; with zsh in ~/.zshrc)\n",
            boost::program_options::options_description(),
            {},
            "shell"};
  boost::program_options::options_description shell = option_group("shell");
  shell.add_options()("shell", text_value("SHELL"), "bash, zsh, fish");
  verb.options.add(shell);
  add_output_options(verb.options);
  verbs.push_back(verb);
  verb.run = [verbs = std::move(verbs)](const boost::program_options::variables_map& given) {
    std::cout << script(required(given, "shell", "bash"), verbs);
    return 0;
  };
  return verb;
}

}  // namespace meshattn

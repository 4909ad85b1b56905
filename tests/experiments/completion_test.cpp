#include "experiments/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAreArray;

const std::string kVerbs[] = {"plan", "simulate", "compare", "run", "calibrate", "validate", "topology", "completion"};

/// Sources the script in bash and completes there.
class Completion : public Cli {
 protected:
  Completion() { EXPECT_EQ(meshattn("completion bash", "completion.sh").status, 0); }

  /// What bash offers in place of the last of these words, which a space ends if it is empty.
  [[nodiscard]] std::vector<std::string> offered(const std::string& words) const {
    std::ofstream(folder_ / "ask.sh") << "source completion.sh\nCOMP_WORDS=(meshattn " << words
                                      << (words.ends_with(' ') ? "''" : "")
                                      << ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_meshattn\n"
                                         "printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    const std::string command = "cd " + folder_.string() + " && bash -u ask.sh > offered.txt";
    EXPECT_EQ(std::system(command.c_str()), 0) << words;
    std::vector<std::string> lines;
    std::istringstream in(content("offered.txt"));
    for (std::string line; std::getline(in, line);)
      if (!line.empty()) lines.push_back(line);
    return lines;
  }
};

TEST_F(Completion, OffersVerbsOptionsAndValues) {
  EXPECT_THAT(offered("sim"), ElementsAre("simulate"));
  EXPECT_THAT(offered("simulate --ti"), ElementsAre("--tile", "--tile-backward"));
  EXPECT_THAT(offered("simulate --pass "), ElementsAre("forward", "backward", "both"));
  EXPECT_THAT(offered("simulate --pass = b"), ElementsAre("backward", "both"));  // bash splits words at =
  EXPECT_THAT(offered("compare --algorithm double"), ElementsAre("double-ring"));
  EXPECT_THAT(offered("plan --cluster dgx-h1"), ElementsAre("dgx-h100"));
  EXPECT_THAT(offered("plan --model llama-2"), ElementsAre("llama-2-7b"));
  EXPECT_THAT(offered("plan --mask w"), ElementsAre("window:"));
  EXPECT_THAT(offered("plan --gpus "), IsEmpty());
  EXPECT_THAT(offered("run --schedule comp"), ElementsAre("completion.sh"));
  EXPECT_THAT(offered("completion f"), ElementsAre("fish"));
}

TEST_F(Completion, OffersEveryOptionOfTheHelp) {
  EXPECT_THAT(offered("--"), ElementsAre("--help", "--version"));
  for (const std::string& verb : kVerbs) {
    EXPECT_THAT(offered(verb.substr(0, 3)), Contains(verb));
    const std::string help = meshattn(verb + " --help").out;
    const std::regex option("\n  (-h \\[ )?(--[a-z-]+) ");
    std::vector<std::string> options;
    for (std::sregex_iterator it(help.begin(), help.end(), option), end; it != end; ++it) options.push_back((*it)[2]);
    EXPECT_THAT(options, Contains("--help"));
    EXPECT_THAT(offered(verb + " --"), UnorderedElementsAreArray(options)) << verb;
  }
}

/// What is offered is what the program names as possible.
TEST_F(Completion, ValuesAreThoseThatAreTaken) {
  const std::string run =
      "run --device cpu --cluster ideal-8x50 --gpus 4 --heads 4 --head-dim 16 --seq 256 --tile 2x2 ";
  for (const char* option :
       {"check", "dtype", "exchange", "kernels", "log-level", "order", "partition", "pass", "transport"})
    expect_refused(
        {{run + fmt::format("--{} x", option), fmt::format("are {}\n", fmt::join(values_of(option), ", "))}});
  expect_refused({{"run --device x", fmt::format("are {}\n", fmt::join(values_of("device"), ", "))},
                  {"completion tcsh", fmt::format("are {}\n", fmt::join(values_of("shell"), ", "))},
                  {"completion", "--shell is missing"},
                  {"completion bash zsh", "completion takes one shell"}});
}

TEST_F(Completion, OtherShellsHaveScripts) {
  EXPECT_THAT(meshattn("completion zsh").out, StartsWith("autoload -Uz compinit bashcompinit\n"));
  const std::string fish = meshattn("completion fish").out;
  EXPECT_THAT(fish, HasSubstr("-n __fish_use_subcommand -a simulate -d "));
  EXPECT_THAT(fish, HasSubstr("'__fish_seen_subcommand_from simulate' -l pass -x -a 'forward backward both' -d "));
  EXPECT_THAT(fish, HasSubstr("'__fish_seen_subcommand_from simulate' -l json -r -F -d "));
}

}  // namespace
}  // namespace meshattn

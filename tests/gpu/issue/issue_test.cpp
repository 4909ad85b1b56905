#include "gpu/issue/issue.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "core/base/error.h"
#include "core/schedule/passes/verify.h"
#include "tests/gpu/schedules.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using gpu::Command;
using gpu::Program;

/// The first order between ops of a rank that the schedule asks for and the streams and events do not keep, in words.
/// The orders are derived independently: an op waits for all makers of the values it reads and for its reuse waits.
std::string missing_order(const Schedule& s, const Program& program) {
  const OpId begin = s.ops_begin(program.rank), end = s.ops_end(program.rank);
  std::map<OpId, std::set<OpId>> before;     // by issued op: the ops that end before it
  std::map<Lane, std::set<OpId>> on_stream;  // the ops that have ended at this point of the stream
  for (const Command& command : program.commands) {
    if (const auto* wait = std::get_if<gpu::Wait>(&command)) {
      on_stream[wait->lane].insert(before[wait->after].begin(), before[wait->after].end());
      on_stream[wait->lane].insert(wait->after);
    }
    const auto issued = [&](Lane lane, OpId op) {
      before[op] = on_stream[lane];
      on_stream[lane].insert(op);
    };
    if (const auto* launch = std::get_if<gpu::Launch>(&command)) issued(launch->lane, launch->op);
    if (const auto* group = std::get_if<gpu::Group>(&command)) issued(group->lane, group->op);
  }
  std::map<ValueId, std::vector<OpId>> makers;
  for (OpId op = begin; op < end; ++op) {
    if (!before.contains(op)) return fmt::format("op {} is not issued", op);
    const auto needs = [&](OpId other) {
      return before[op].contains(other) ? std::string() : fmt::format("op {} does not wait for op {}", op, other);
    };
    std::string missing;
    for_each_operand(
        s, s.ops[op], program.rank,
        [&](ValueId v) {
          for (OpId maker : makers[v])
            if (missing.empty()) missing = needs(maker);
        },
        [&](ValueId v) { makers[v].push_back(op); });
    for (const ReuseWait& wait : s.waits_of(op))
      if (missing.empty()) missing = needs(wait.after);
    if (!missing.empty()) return missing;
  }
  return "";
}

using testing::schedule_of;
using testing::schedules_of;

class Issue : public ::testing::TestWithParam<int> {};

/// All algorithms, except those that need other numbers of ranks: tasp's rings of 4 and star-trail's squares of 2.
TEST_P(Issue, EveryAlgorithmIsThere) {
  std::set<std::pair<std::string, Pass>> there, all;
  for (const auto& [name, s] : schedules_of(GetParam(), Dtype::kBf16))
    there.emplace(name.substr(0, name.find(' ')), s.problem.pass);
  for (const Algorithm& algorithm : algorithms())
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      if (pass == Pass::kBackward && algorithm.forward_only) continue;
      if ((algorithm.name == "tasp" && GetParam() == 4) || (algorithm.name == "star-trail" && GetParam() == 2))
        continue;
      all.emplace(algorithm.name, pass);
    }
  EXPECT_EQ(there, all);
}

TEST_P(Issue, KeepsEveryOrder) {
  for (const auto& [name, s] : schedules_of(GetParam(), Dtype::kBf16)) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(verify(s).empty());
    const std::vector<Program> programs = gpu::issue(s);
    ASSERT_EQ(programs.size(), static_cast<std::size_t>(GetParam()));
    for (const Program& program : programs) ASSERT_EQ(missing_order(s, program), "");
  }
}

/// Without any one of the waits some order is not kept.
TEST_P(Issue, NoWaitIsNeedless) {
  int waits = 0;
  for (const auto& [name, s] : schedules_of(GetParam(), Dtype::kBf16)) {
    SCOPED_TRACE(name);
    for (const Program& program : gpu::issue(s))
      for (std::size_t i = 0; i < program.commands.size(); ++i) {
        if (!std::holds_alternative<gpu::Wait>(program.commands[i])) continue;
        ++waits;
        Program without = program;
        without.commands.erase(without.commands.begin() + static_cast<std::ptrdiff_t>(i));
        ASSERT_NE(missing_order(s, without), "") << "command " << i << " of rank " << program.rank;
      }
  }
  EXPECT_GT(waits, 100);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Issue, ::testing::Values(2, 4, 8));

struct Golden {
  const char* file;
  const char* algorithm;
  Tile tile;
  Pass pass;
  int slices;
};

class IssueText : public ::testing::TestWithParam<Golden> {};

TEST_P(IssueText, IsWhatIsIssued) {
  const Golden& g = GetParam();
  const int ranks = g.tile.rows * g.tile.columns;
  const Problem p{
      {4L * ranks, 4L * ranks, 1, 4, 2, 8, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, g.pass, ranks};
  Options options;
  if (g.tile.rows > 1) options.tile = g.tile;
  options.slices = g.slices;
  const Schedule s = schedule_of(p, g.algorithm, options);
  std::string text;
  for (const Program& program : gpu::issue(s)) text += to_text(program, s);
  const std::string path = fmt::format("{}/{}", MESHATTN_GOLDEN_DIR, g.file);
  if (std::getenv("MESHATTN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str()) << "run with MESHATTN_UPDATE_GOLDEN=1 if the change is meant";
}

INSTANTIATE_TEST_SUITE_P(Files, IssueText,
                         ::testing::Values(Golden{"ring-2-forward.txt", "ring", {1, 2}, Pass::kForward, 1},
                                           Golden{"mesh-2x2-forward.txt", "mesh", {2, 2}, Pass::kForward, 2},
                                           Golden{"mesh-2x2-backward.txt", "mesh", {2, 2}, Pass::kBackward, 1}),
                         [](const auto& golden) {
                           std::string name = golden.param.file;
                           std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
                           return name;
                         });

TEST(IssueErrors, MemoryMustBeAssigned) {
  const Problem p{{16, 16, 1, 2, 2, 2, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2};
  EXPECT_THROW((void)gpu::issue(mesh(p, testing::simple_plan({1, 2}, Pass::kForward), Dtype::kFp32)), InvalidSchedule);
}

TEST(IssueRefuses, WhatDevicesCannotDo) {
  const Schedule s =
      schedule_of({{64, 64, 1, 2, 2, 8, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2}, "ring");
  Schedule moved = s, laned = s, unplaced = s;
  moved.offset[1] += 8;
  EXPECT_THROW((void)gpu::issue(moved), InvalidSchedule);
  laned.transfers.front().lane = 64;
  EXPECT_THROW((void)gpu::issue(laned), InvalidSchedule);
  unplaced.offset.clear();
  EXPECT_THROW((void)gpu::issue(unplaced), InvalidSchedule);
}

}  // namespace
}  // namespace meshattn

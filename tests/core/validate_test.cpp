#include "core/passes/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/passes/liveness.h"
#include "core/passes/prune.h"
#include "tests/support/interpreter.h"
#include "tests/support/mutate.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using testing::interpret;
using testing::Mutant;
using testing::mutate;
using testing::random_plan;
using testing::simple_plan;
using testing::small_problem;

struct Setting {
  Mask mask;
  Partition partition;
};
constexpr Setting kSettings[] = {{Mask::kFull, Partition::kContiguous},
                                 {Mask::kCausal, Partition::kContiguous},
                                 {Mask::kCausal, Partition::kStriped},
                                 {Mask::kCausal, Partition::kZigzag}};

Schedule real_schedule(const Setting& setting, const TilePlan& plan, Dtype wire) {
  const Problem p = small_problem(plan.tile.rows * plan.tile.columns, plan.pass, setting.mask, setting.partition, 2, 1);
  Schedule s = prune(mesh(p, plan, wire));
  assign_memory(s);
  return s;
}

std::string all_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& f : findings) text.append(f.what).append("\n");
  return text;
}

std::string name_of(const Schedule& s, Tile tile) {
  const Problem& p = s.problem;
  return std::to_string(tile.rows) + "x" + std::to_string(tile.columns) + " " + std::string(name_of(p.mask)) + " " +
         std::string(name_of(p.partition)) + " " + std::string(name_of(p.pass));
}

/// Calls visit(schedule, tile) for every tile of 1 … most ranks × mask and partition × pass, planned simply and at
/// random.
template <typename Visit>
void for_each_real_schedule(int most, std::mt19937& random, Visit&& visit) {
  for (int n = 1; n <= most; ++n)
    for (Tile tile : tiles_of(n))
      for (Pass pass : {Pass::kForward, Pass::kBackward})
        for (const Setting& setting : kSettings) {
          visit(real_schedule(setting, simple_plan(tile, pass), Dtype::kFp32), tile);
          visit(real_schedule(setting, random_plan(tile, pass, random), Dtype::kBf16), tile);
        }
}

TEST(Validate, AcceptsRealSchedules) {
  std::mt19937 random(1);
  for_each_real_schedule(6, random, [&](Schedule s, Tile tile) {
    EXPECT_EQ(all_of(validate(s)), "") << name_of(s, tile);
    EXPECT_EQ(interpret(s, 14, random), "") << name_of(s, tile);
    s.offset.clear();
    s.waits.clear();
    EXPECT_EQ(all_of(validate(s)), "") << name_of(s, tile);
    EXPECT_EQ(interpret(s, 7, random), "") << name_of(s, tile);
  });
}

TEST(Validate, RejectsEveryMutantThatTheInterpreterFindsWrong) {
  std::mt19937 random(2);
  int mutants = 0, wrong = 0, rejected = 0;
  for_each_real_schedule(6, random, [&](const Schedule& s, Tile tile) {
    if (s.problem.ranks == 1) return;
    for (int i = 0; i < 30; ++i) {
      const Mutant m = mutate(s, random);
      const bool accepted = validate(m.schedule).empty();
      const std::string what = accepted ? interpret(m.schedule, 28, random) : interpret(m.schedule, 7, random);
      ++mutants;
      rejected += !accepted;
      wrong += !what.empty();
      EXPECT_FALSE(accepted && !what.empty()) << name_of(s, tile) << ": " << m.what << ": " << what;
    }
  });
  std::printf("%d mutants, %d wrong, %d rejected\n", mutants, wrong, rejected);
}

}  // namespace
}  // namespace meshattn

#include "core/schedule/passes/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <sstream>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "tests/core/schedule/passes/verify/edit_schedule.h"
#include "tests/support/interpreter/interpreter.h"
#include "tests/support/mutants/mutate.h"
#include "tests/support/plans.h"
#include "tests/support/ulysses.h"

namespace meshattn {
namespace {

using testing::find_op;
using ::testing::HasSubstr;
using testing::interpret;
using testing::Mutant;
using testing::mutate;
using testing::random_plan;
using testing::simple_plan;
using testing::small_problem;
using testing::tile_2x2;
using testing::ulysses;

struct Setting {
  Mask mask;
  Partition partition;
};
const Setting kSettings[] = {{Mask::kFull, Partition::kContiguous},
                             {Mask::kCausal, Partition::kContiguous},
                             {Mask::kCausal, Partition::kStriped},
                             {Mask::kCausal, Partition::kZigzag},
                             {{true, 3, {}}, Partition::kContiguous}};

Schedule real_schedule(const Setting& setting, const OrderedTile& plan, Dtype wire) {
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

std::string name_of(const Problem& p, const std::string& algorithm) {
  return algorithm + " " + std::string(name_of(p.mask)) + " " + std::string(name_of(p.partition)) + " " +
         std::string(name_of(p.pass));
}

/// Calls visit(schedule, name) for Ulysses on 2 and on 4 ranks: with one query head per key/value head, with several,
/// and with slices that share key/value heads.
template <typename Visit>
void for_each_ulysses(int max_ranks, const Setting& setting, Pass pass, Visit&& visit) {
  struct Heads {
    int ranks, q, kv;
  };
  for (const Heads h : {Heads{2, 2, 2}, Heads{2, 4, 2}, Heads{2, 4, 1}, Heads{4, 4, 4}, Heads{4, 8, 2}}) {
    if (h.ranks > max_ranks) continue;
    Schedule s = prune(ulysses(small_problem(h.ranks, pass, setting.mask, setting.partition, h.q, h.kv)));
    assign_memory(s);
    const std::string heads = std::to_string(h.q) + "/" + std::to_string(h.kv) + " heads";
    visit(s, name_of(s.problem, "ulysses of " + std::to_string(h.ranks) + ", " + heads));
  }
}

/// Calls visit(schedule, name) for every tile of 1 … max_ranks ranks × mask and partition × pass, with a simple and
/// a random plan, and for Ulysses.
template <typename Visit>
void for_each_real_schedule(int max_ranks, std::mt19937& random, Visit&& visit) {
  const auto visit_mesh = [&](const Schedule& s, Tile tile) {
    visit(s, name_of(s.problem, std::to_string(tile.rows) + "x" + std::to_string(tile.columns)));
  };
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (const Setting& setting : kSettings) {
      for (int n = 1; n <= max_ranks; ++n)
        for (Tile tile : tiles_of(n)) {
          visit_mesh(real_schedule(setting, simple_plan(tile, pass), Dtype::kFp32), tile);
          visit_mesh(real_schedule(setting, random_plan(tile, pass, random), Dtype::kBf16), tile);
        }
      for_each_ulysses(max_ranks, setting, pass, visit);
    }
}

TEST(Verify, AcceptsRealSchedules) {
  std::mt19937 random(1);
  for_each_real_schedule(6, random, [&](Schedule s, const std::string& name) {
    EXPECT_EQ(all_of(verify(s)), "") << name;
    EXPECT_EQ(interpret(s, 14, random), "") << name;
    s.offset.clear();
    s.waits.clear();
    EXPECT_EQ(all_of(verify(s)), "") << name;
    EXPECT_EQ(interpret(s, 7, random), "") << name;
  });
}

TEST(Verify, AcceptsUnprunedSchedules) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) EXPECT_EQ(all_of(verify(tile_2x2(pass))), "") << name_of(pass);
}

TEST(Verify, FindingsNameRankOpAndValueAndAreLimited) {
  Schedule s = tile_2x2(Pass::kForward);
  // The list of rank 2: row hop, column hop, rectangle of row 1, … The rectangle is moved before the row hop.
  const OpId exchange = find_op<Exchange>(s, 2), attend = find_op<Attend>(s, 2);
  std::swap(s.ops[exchange], s.ops[attend]);
  const ValueId q = s.rows_of(std::get<Attend>(s.ops[exchange]))[0].q;
  const std::vector<Finding> found = verify(s);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].rank, 2);
  EXPECT_EQ(found[0].op, exchange);
  EXPECT_EQ(found[0].value, q);
  EXPECT_EQ(found[0].what, "Q value " + std::to_string(q) + " is read by op " + std::to_string(exchange) +
                               " of rank 2 before it is made");
  s.ops.clear();
  std::ranges::fill(s.first_op, 0);
  EXPECT_EQ(verify(s, 3).size(), 3u);
  EXPECT_EQ(verify(s, 20).size(), 20u);
}

/// "9,300"
std::string in_thousands(int n) { return fmt::format("{},{:03}", n / 1000, n % 1000); }

/// Four fifths of these mutants are wrong. Fewer than half would mean that the mutator hardly changes anything.
TEST(Verify, RejectsEveryMutantThatTheInterpreterFindsWrong) {
  std::mt19937 random(2);
  int mutants = 0, wrong = 0;
  for_each_real_schedule(6, random, [&](const Schedule& s, const std::string& name) {
    if (s.problem.ranks == 1) return;
    for (int i = 0; i < 30; ++i) {
      const Mutant m = mutate(s, random);
      const bool accepted = verify(m.schedule).empty();
      const std::string what = interpret(m.schedule, accepted ? 28 : 7, random);
      ++mutants;
      wrong += !what.empty();
      EXPECT_FALSE(accepted && !what.empty()) << name << ": " << m.what << ": " << what;
    }
  });
  EXPECT_GT(wrong, mutants / 2);
  std::ostringstream readme;
  readme << std::ifstream(MESHATTN_SOURCE_DIR "/core/schedule/README.md").rdbuf();
  EXPECT_THAT(readme.str(), HasSubstr("makes " + in_thousands(mutants) + " random changes"));
  EXPECT_THAT(readme.str(), HasSubstr("finds " + in_thousands(wrong) + " of these"));
}

/// Overwrites random fields of a schedule with random numbers.
class Corruptor {
 public:
  Corruptor(Schedule& s, std::mt19937& random) : s_(s), random_(random) {}

  void corrupt() {
    switch (random_() % 16) {
      case 0:
        return corrupt_item(
            s_.first_op, [](auto& x) -> auto& { return x; });
      case 1:
        return corrupt_item(
            s_.values, [](Value & v) -> auto& { return v.region; });
      case 2:
        return corrupt_item(
            s_.values, [](Value & v) -> auto& { return v.rank; });
      case 3:
        return corrupt_item(
            s_.values, [&](Value & v) -> auto& { return random_() % 2 ? as_byte(v.tensor) : as_byte(v.dtype); });
      case 4:
        return corrupt_item(
            s_.transfers, [&](Transfer & t) -> auto& { return random_() % 2 ? t.source : t.made; });
      case 5:
        return corrupt_item(
            s_.transfers, [](Transfer & t) -> auto& { return t.lane; });
      case 6:
        return corrupt_item(
            s_.rows, [&](AttendRow & r) -> auto& { return random_() % 2 ? r.q : r.o; });
      case 7:
        return corrupt_item(
            s_.columns, [](auto& x) -> auto& { return x; });
      case 8:
        return corrupt_item(
            s_.backward_rows, [&](BackwardRow & r) -> auto& { return random_() % 2 ? r.delta : r.dq; });
      case 9:
        return corrupt_item(
            s_.backward_columns, [&](BackwardColumn & c) -> auto& { return random_() % 2 ? c.kv : c.dkv; });
      case 10:
        return corrupt_item(
            random_() % 2 ? s_.combine_sources : s_.exchange_transfers, [](auto& x) -> auto& { return x; });
      case 11:
        return corrupt_item(
            random_() % 2 ? s_.inputs : s_.outputs, [](auto& x) -> auto& { return x; });
      case 12:
        return corrupt_item(
            s_.waits, [&](ReuseWait & w) -> auto& { return random_() % 2 ? w.op : w.after; });
      case 13:
        return corrupt_item(
            s_.offset, [](auto& x) -> auto& { return x; });
      case 14:
        return corrupt_problem();
      default:
        return corrupt_op();
    }
  }

 private:
  template <typename Enum>
  static std::uint8_t& as_byte(Enum& e) {
    return reinterpret_cast<std::uint8_t&>(e);
  }

  template <typename T>
  void overwrite(T& field) {
    const std::uint64_t wild = std::uint64_t{random_()} << 32 | random_();
    const std::uint64_t any[] = {wild, wild % 16, static_cast<std::uint64_t>(field) + 1, UINT64_MAX, INT32_MAX};
    field = static_cast<T>(any[random_() % std::size(any)]);
  }
  template <typename List, typename Field>
  void corrupt_item(List& list, Field&& field) {
    if (list.empty()) return;
    if (random_() % 8 == 0) return list.resize(list.size() - 1 + random_() % 3);
    overwrite(field(list[random_() % list.size()]));
  }
  void corrupt_problem() {
    AttentionShape& shape = s_.problem.shape;
    int* const numbers[] = {&shape.batch, &shape.heads, &shape.kv_heads, &shape.head_dim, &s_.problem.ranks};
    std::uint8_t* const names[] = {&as_byte(s_.problem.partition), &as_byte(s_.problem.pass), &as_byte(shape.dtype)};
    if (random_() % 4 == 0) return corrupt_mask(s_.problem.mask);
    if (random_() % 4 == 0) return overwrite(random_() % 2 ? shape.seq_q : shape.seq_kv);
    if (random_() % 2 == 0) return overwrite(*names[random_() % std::size(names)]);
    overwrite(*numbers[random_() % std::size(numbers)]);
  }
  void corrupt_mask(Mask& mask) {
    mask.causal ^= random_() % 2 != 0;
    if (random_() % 2 == 0) overwrite(mask.window);
    if (random_() % 2 == 0) overwrite(s_.problem.cuts);
    if (random_() % 2 == 0) mask.documents = Documents(std::vector<std::int64_t>(random_() % 9, 1 + random_() % 3));
  }
  void corrupt_op() {
    Op& op = s_.ops[random_() % s_.ops.size()];
    const auto corrupt_rectangle = [&](auto& rect) {
      random_() % 2 ? overwrite(random_() % 2 ? rect.first_row : rect.first_column)
                    : overwrite(random_() % 2 ? rect.row_count : rect.column_count);
    };
    if (auto* a = std::get_if<Attend>(&op)) corrupt_rectangle(*a);
    if (auto* a = std::get_if<AttendBackward>(&op)) corrupt_rectangle(*a);
    if (auto* d = std::get_if<Delta>(&op)) overwrite(random_() % 2 ? d->d_o : d->made);
    if (auto* c = std::get_if<Combine>(&op)) overwrite(random_() % 2 ? c->source_count : c->made);
    if (auto* x = std::get_if<Exchange>(&op)) overwrite(random_() % 2 ? x->first : x->count);
  }

  Schedule& s_;
  std::mt19937& random_;
};

/// `verify` does not fail on any content of the arrays, and the interpreter finds no error in schedules that it
/// accepts.
TEST(Verify, SurvivesGarbage) {
  std::mt19937 random(7);
  int refused = 0, all = 0;
  for_each_real_schedule(4, random, [&](const Schedule& s, const std::string& name) {
    for (int i = 0; i < 100; ++i, ++all) {
      Schedule garbage = s;
      Corruptor corruptor(garbage, random);
      for (auto changes = 1 + random() % 3; changes > 0; --changes) corruptor.corrupt();
      const bool accepted = verify(garbage).empty();
      refused += !accepted;
      EXPECT_TRUE(!accepted || interpret(garbage, 7, random).empty()) << name;
    }
  });
  EXPECT_GT(refused, all / 2);
}

}  // namespace
}  // namespace meshattn

#include "core/schedule/text.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/base/error.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {
namespace {

/// All hops that bring rows and columns, then the whole tile as one rectangle, then all hops that return partials.
OrderedTile all_at_once(Tile tile, Pass pass) {
  OrderedTile plan{tile, pass, {}};
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.rows - 1), Hop::kRowIn);
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnIn);
  plan.steps.push_back(Rectangle{0, tile.rows, 0, tile.columns});
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.rows - 1), Hop::kRowOut);
  if (pass == Pass::kBackward)
    plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnOut);
  return plan;
}

/// Computes blocks as early as possible: after each received row its block with column 0, after each column all its
/// blocks.
OrderedTile as_early_as_possible(Tile tile, Pass pass) {
  OrderedTile plan{tile, pass, {Rectangle{0, 1, 0, 1}}};
  for (int row = 1; row < tile.rows; ++row) {
    plan.steps.push_back(Hop::kRowIn);
    plan.steps.push_back(Rectangle{row, row + 1, 0, 1});
  }
  for (int column = 1; column < tile.columns; ++column) {
    plan.steps.push_back(Hop::kColumnIn);
    plan.steps.push_back(Rectangle{0, tile.rows, column, column + 1});
  }
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.rows - 1), Hop::kRowOut);
  if (pass == Pass::kBackward)
    plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnOut);
  return plan;
}

Problem problem(int ranks, Mask mask, Partition partition, Pass pass) {
  return {{4L * ranks, 6L * ranks, 2, 4, 2, 8, Dtype::kBf16}, mask, partition, pass, ranks};
}

/// Adds meaningless offsets and waits in all their forms: ops with no wait, with one and with two.
void add_memory(Schedule& s) {
  for (std::size_t v = 0; v < s.values.size(); ++v) s.offset.push_back(256 * (v % 7));
  s.peak_bytes = 7 * 256;
  for (Rank r = 0; r < s.problem.ranks; ++r)
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op)
      for (OpId after = s.ops_begin(r); after < op && after < s.ops_begin(r) + op % 3; ++after)
        s.waits.push_back({op, after});
}

template <typename T>
void expect_same(std::span<const T> a, std::span<const T> b, OpId op) {
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << "op " << op;
}

/// Equal except for the lists that ops share and the numbers of regions.
void expect_equal(const Schedule& a, const Schedule& b) {
  EXPECT_EQ(a.problem, b.problem);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (ValueId v = 0; v < a.values.size(); ++v) {
    EXPECT_EQ(a.values[v].rank, b.values[v].rank);
    EXPECT_EQ(a.values[v].tensor, b.values[v].tensor);
    EXPECT_EQ(a.values[v].dtype, b.values[v].dtype);
    EXPECT_EQ(a.region(v).heads, b.region(v).heads);
    EXPECT_TRUE(std::ranges::equal(a.region(v).cells, b.region(v).cells)) << "value " << v;
  }
  EXPECT_EQ(a.transfers, b.transfers);
  EXPECT_EQ(a.first_op, b.first_op);
  ASSERT_EQ(a.ops.size(), b.ops.size());
  for (OpId op = 0; op < a.ops.size(); ++op) {
    ASSERT_EQ(a.ops[op].index(), b.ops[op].index());
    std::visit(
        [&](const auto& x) {
          using Kind = std::decay_t<decltype(x)>;
          const auto& y = std::get<Kind>(b.ops[op]);
          if constexpr (requires { a.rows_of(x); }) {
            expect_same(a.rows_of(x), b.rows_of(y), op);
            expect_same(a.columns_of(x), b.columns_of(y), op);
          } else if constexpr (std::is_same_v<Kind, Exchange>) {
            expect_same(a.transfers_of(x), b.transfers_of(y), op);
          } else if constexpr (std::is_same_v<Kind, Combine>) {
            expect_same(a.sources_of(x), b.sources_of(y), op);
            EXPECT_EQ(x.made, y.made);
          } else {
            EXPECT_TRUE(x.o == y.o && x.d_o == y.d_o && x.made == y.made);
          }
        },
        a.ops[op]);
  }
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.outputs, b.outputs);
  EXPECT_EQ(a.waits, b.waits);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.peak_bytes, b.peak_bytes);
}

TEST(ScheduleText, ReadsBackWhatItWrote) {
  for (int ranks : {1, 2, 3, 6, 8})
    for (Tile tile : tiles_of(ranks))
      for (Mask mask : {Mask::kFull, Mask::kCausal})
        for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
          for (Pass pass : {Pass::kForward, Pass::kBackward})
            for (Dtype wire : {Dtype::kFp32, Dtype::kBf16})
              for (bool at_once : {true, false})
                for (bool with_memory : {true, false}) {
                  const OrderedTile plan = at_once ? all_at_once(tile, pass) : as_early_as_possible(tile, pass);
                  Schedule written = mesh(problem(ranks, mask, partition, pass), plan, wire);
                  if (with_memory) add_memory(written);
                  const std::string text = write_text(written);
                  const Schedule read = read_text(text, "text");
                  expect_equal(written, read);
                  EXPECT_EQ(write_text(read), text);
                  // Rectangles share their lists again: no list is longer than the one that the generator made.
                  EXPECT_EQ(read.rows.size(), written.rows.size());
                  EXPECT_EQ(read.columns.size(), written.columns.size());
                  EXPECT_EQ(read.backward_rows.size(), written.backward_rows.size());
                  EXPECT_EQ(read.backward_columns.size(), written.backward_columns.size());
                  if (testing::Test::HasFailure()) FAIL() << text;
                }
}

TEST(ScheduleText, KeepsRegionsThatAreNotWholeChunks) {
  ScheduleBuilder b(problem(4, Mask::kFull, Partition::kZigzag, Pass::kForward));  // 8 cells, 4 heads, 2 kv-heads
  const auto kv = [&](std::vector<Cell> cells, HeadRange heads) {
    b.input(3, Tensor::kKV, b.region(cells, heads), Dtype::kFp16);
  };
  kv({0}, {0, 1});
  kv({0, 1, 2, 5, 7}, {1, 2});
  kv({6, 7}, {0, 2});
  const Schedule s = b.finish();
  const std::string text = write_text(s);
  EXPECT_NE(text.find("value 0 rank 3 KV fp16 cells 0 heads 0 input\n"), std::string::npos) << text;
  EXPECT_NE(text.find("value 1 rank 3 KV fp16 cells 0-2,5,7 heads 1 input\n"), std::string::npos) << text;
  EXPECT_NE(text.find("value 2 rank 3 KV fp16 cells 6-7 heads 0-1 input\n"), std::string::npos) << text;
  expect_equal(s, read_text(text, "text"));
}

TEST(ScheduleText, RefusesToWriteATextThatCannotBeRead) {
  const OrderedTile ring = all_at_once({1, 2}, Pass::kForward);
  const Schedule good = mesh(problem(2, Mask::kFull, Partition::kContiguous, Pass::kForward), ring, Dtype::kFp32);
  Schedule mixed = good;
  mixed.transfers.back().lane = 2;
  EXPECT_THROW((void)write_text(mixed), InvalidSchedule);
  Schedule forwards = good;
  forwards.waits.push_back({0, 1});
  EXPECT_THROW((void)write_text(forwards), InvalidSchedule);
  Schedule foreign = good;  // an op of rank 1 waits for one of rank 0
  foreign.waits.push_back({good.first_op[1], 0});
  EXPECT_THROW((void)write_text(foreign), InvalidSchedule);
}

/// The example in the folder's README is the golden file from its first value on.
TEST(ScheduleText, TheReadmeShowsAGoldenFile) {
  std::ifstream readme(MESHATTN_SOURCE_DIR "/core/schedule/README.md");
  std::string shown;
  for (std::string line, blanks; std::getline(readme, line);) {
    if (line.starts_with("    ")) shown += std::exchange(blanks, "") + line.substr(4) + '\n';
    if (line.empty() && !shown.empty()) blanks += '\n';
  }
  std::ostringstream golden;
  golden << std::ifstream(MESHATTN_GOLDEN_DIR "/ring-2-forward.txt").rdbuf();
  EXPECT_EQ(shown, golden.str().substr(golden.str().find("value 0")));
}

struct Golden {
  const char* file;
  Tile tile;
  Mask mask;
  Partition partition;
  Pass pass;
  bool memory;  ///< with arena offsets and reuse waits
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.file; }

class GoldenText : public testing::TestWithParam<Golden> {};

TEST_P(GoldenText, IsWhatTheGeneratorMakes) {
  const Golden& g = GetParam();
  const int ranks = g.tile.rows * g.tile.columns;
  const Problem p{{4L * ranks, 4L * ranks, 1, 4, 2, 8, Dtype::kBf16}, g.mask, g.partition, g.pass, ranks};
  Schedule schedule = mesh(p, as_early_as_possible(g.tile, g.pass), Dtype::kFp32);
  if (g.memory) assign_memory(schedule);
  const std::string text = write_text(schedule);
  const std::string path = fmt::format("{}/{}", MESHATTN_GOLDEN_DIR, g.file);
  if (std::getenv("MESHATTN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str()) << "run with MESHATTN_UPDATE_GOLDEN=1 if the change is meant";
}

INSTANTIATE_TEST_SUITE_P(
    Files, GoldenText,
    testing::Values(Golden{"mesh-2x2-documents.txt",
                           {2, 2},
                           {true, 3, Documents(std::vector<std::int64_t>{8, 8})},
                           Partition::kDocumentZigzag,
                           Pass::kForward,
                           true},
                    Golden{"ring-2-forward.txt", {1, 2}, Mask::kFull, Partition::kContiguous, Pass::kForward, false},
                    Golden{"ring-4-forward.txt", {1, 4}, Mask::kFull, Partition::kContiguous, Pass::kForward, true},
                    Golden{"mesh-3x2-forward.txt", {3, 2}, Mask::kFull, Partition::kContiguous, Pass::kForward, true},
                    Golden{"mesh-2x2-forward.txt", {2, 2}, Mask::kCausal, Partition::kZigzag, Pass::kForward, true},
                    Golden{
                        "mesh-2x2-backward.txt", {2, 2}, Mask::kFull, Partition::kContiguous, Pass::kBackward, true}),
    [](const auto& golden) {
      std::string name = golden.param.file;
      std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
      return name;
    });

}  // namespace
}  // namespace meshattn

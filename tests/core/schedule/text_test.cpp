#include "core/schedule/text.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/base/error.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {
namespace {

/// Every hop in, then the whole tile as one rectangle, then every hop out.
TilePlan all_at_once(Tile tile, Pass pass) {
  TilePlan plan{tile, pass, {}};
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.rows - 1), Hop::kRowIn);
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnIn);
  plan.steps.push_back(Rectangle{0, tile.rows, 0, tile.columns});
  plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.rows - 1), Hop::kRowOut);
  if (pass == Pass::kBackward)
    plan.steps.insert(plan.steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnOut);
  return plan;
}

/// Computes after each hop in what has become possible: one row against column 0, one column against all rows.
TilePlan as_they_come(Tile tile, Pass pass) {
  TilePlan plan{tile, pass, {Rectangle{0, 1, 0, 1}}};
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

/// Offsets and waits of no meaning but with all their forms: ops without, with one and with two waits.
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

/// Equal up to which lists ops share and how regions are numbered.
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
                  const TilePlan plan = at_once ? all_at_once(tile, pass) : as_they_come(tile, pass);
                  Schedule written = mesh(problem(ranks, mask, partition, pass), plan, wire);
                  if (with_memory) add_memory(written);
                  const std::string text = write_text(written);
                  const Schedule read = read_text(text, "text");
                  expect_equal(written, read);
                  EXPECT_EQ(write_text(read), text);
                  // Rectangles share their lists again: no list is longer than the generator's.
                  EXPECT_EQ(read.rows.size(), written.rows.size());
                  EXPECT_EQ(read.columns.size(), written.columns.size());
                  EXPECT_EQ(read.backward_rows.size(), written.backward_rows.size());
                  EXPECT_EQ(read.backward_columns.size(), written.backward_columns.size());
                  if (testing::Test::HasFailure()) FAIL() << text;
                }
}

TEST(ScheduleText, KeepsRegionsThatAreNoWholeChunks) {
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

TEST(ScheduleText, RefusesToWriteWhatItCouldNotReadBack) {
  const TilePlan ring = all_at_once({1, 2}, Pass::kForward);
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
  Schedule schedule = mesh(p, as_they_come(g.tile, g.pass), Dtype::kFp32);
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

/// Lines 2–13 the problem, 14–17 values, 18–20 rank 0, 21–22 rank 1.
constexpr const char* kSmall[] = {
    "meshattn schedule 1",
    "ranks 2",
    "batch 1",
    "seq_q 8",
    "seq_kv 8",
    "heads 2",
    "kv_heads 1",
    "head_dim 4",
    "dtype bf16",
    "mask full",
    "partition zigzag",
    "pass forward",
    "peak_bytes 512",
    "value 0 rank 0 Q bf16 cells 0-1 heads 0-1 at 0 input",
    "value 1 rank 0 KV bf16 cells 0,1 heads 0 at 256 input",
    "value 2 rank 0 O bf16 cells 0-1 heads 0-1 at 0",
    "value 3 rank 1 KV bf16 cells 0-1 heads 0 at 0",
    "rank 0",
    "0 attend 0>2 x 1  # a comment",
    "1 exchange lane 1: 1>3 after 0",
    "rank 1",
    "0 exchange lane 1: 1>3",
    "end",
};

std::string small_with(std::size_t line, std::string_view instead) {
  std::string text;
  for (std::size_t i = 0; i < std::size(kSmall); ++i) text += fmt::format("{}\n", i + 1 == line ? instead : kSmall[i]);
  return text;
}

struct Broken {
  std::size_t line;
  const char* instead;
  const char* message;
};

const Broken kBroken[] = {
    {1, "", "s.txt:2:1: expected 'meshattn', found 'ranks'"},
    {1, "\x01\xff", "s.txt:1:1: expected 'meshattn', found '\\x01'"},
    {1, "meshattn schedule 2", "s.txt:1:19: expected '1', found '2'"},
    {1, "meshattn schedule", "s.txt:1:18: expected '1', found the end of the line"},
    {2, "rank 2", "s.txt:2:1: expected 'ranks', found 'rank'"},
    {2, "ranks", "s.txt:2:6: expected a number from 0 to 2147483647, found the end of the line"},
    {2, "ranks -1", "s.txt:2:7: expected a number from 0 to 2147483647, found '-'"},
    {2, "ranks 99999999999999999999",
     "s.txt:2:7: expected a number from 0 to 2147483647, found '99999999999999999999'"},
    {2, "ranks 2 2", "s.txt:2:9: expected the end of the line, found '2'"},
    {2, "ranks 0", "s.txt:2:1: ranks must be from 1 to 65536, not 0"},
    {2, "ranks 65537", "s.txt:2:1: ranks must be from 1 to 65536, not 65537"},
    {2, "ranks 5", "s.txt:2:1: a sequence of 8 is too short for 5 ranks"},
    {3, "batch 0", "s.txt:2:1: batch must be at least 1, not 0"},
    {5, "seq_kv 9223372036854775807", "s.txt:2:1: sequence length of the keys must be at most 1073741824, not 9223372"},
    {7, "kv_heads 3", "s.txt:2:1: 2 heads cannot share 3 kv-heads evenly"},
    {10, "mask half", "s.txt:10:6: unknown mask 'half': possible are full, causal"},
    {10, "mask", "s.txt:10:5: expected a name, found the end of the line"},
    {10, "mask window", "s.txt:10:12: expected a window from 1 to 1073741824, found the end of the line"},
    {10, "mask window 0", "s.txt:10:13: expected a window from 1 to 1073741824, found '0'"},
    {10, "mask full 3", "s.txt:10:11: expected the end of the line, found '3'"},
    {10, "mask causal documents", "s.txt:10:22: expected a length from 1 to 8, found the end of the line"},
    {10, "mask causal documents 3 0 5", "s.txt:10:25: expected a length from 1 to 5, found '0'"},
    {10, "mask causal documents 3 4", "s.txt:10:26: expected a length from 1 to 1, found the end of the line"},
    {10, "mask causal documents 3 4 2", "s.txt:10:27: expected a length from 1 to 1, found '2'"},
    {10, "mask full documents 3 5 1", "s.txt:10:25: expected the end of the line, found '1'"},
    {10, "mask full documents 18446744073709551615", "s.txt:10:21: expected a length from 1 to 8, found '184467"},
    {11, "partition document-zigzag", "s.txt:2:1: partition document-zigzag needs --mask documents:FILE"},
    {11, "partition zigzag cuts 0", "s.txt:11:23: expected a number of cuts from 1 to 65536, found '0'"},
    {11, "partition zigzag cuts 65537", "s.txt:11:23: expected a number of cuts from 1 to 65536, found '65537'"},
    {11, "partition zigzag cuts 3",
     "s.txt:2:1: a sequence of 8 is too short for 2 ranks, zigzag partition: at least 12"},
    {13, "peak_bytes 18446744073709551616", "s.txt:13:12: expected a number from 0 to 18446744073709551615, found"},
    {14, "value 1 rank 0 Q bf16 cells 0-1 heads 0-1", "s.txt:14:7: expected '0', found '1'"},
    {14, "value 0 rank 2 Q bf16 cells 0-1 heads 0-1", "s.txt:14:14: expected a rank below 2, found '2'"},
    {14, "value 0 rank 0 K bf16 cells 0-1 heads 0-1", "s.txt:14:16: unknown tensor 'K': possible are Q, KV, O, dO, "},
    {14, "value 0 rank 0 Q cells 0-1 heads 0-1", "s.txt:14:18: unknown dtype 'cells': possible are bf16, fp16, fp32"},
    {14, "value 0 rank 0 Q bf16 cells 0-4 heads 0-1", "s.txt:14:31: expected a cell from 0 to 3, found '4'"},
    {14, "value 0 rank 0 Q bf16 cells 2-1 heads 0-1", "s.txt:14:31: expected a cell from 2 to 3, found '1'"},
    {14, "value 0 rank 0 Q bf16 cells 1,1 heads 0-1", "s.txt:14:31: expected a cell from 2 to 3, found '1'"},
    {14, "value 0 rank 0 Q bf16 cells 3,4 heads 0-1", "s.txt:14:30: expected 'heads', found ','"},
    {14, "value 0 rank 0 Q bf16 cells 0 heads 2", "s.txt:14:37: expected a head from 0 to 1, found '2'"},
    {15, "value 1 rank 0 KV bf16 cells 0 heads 1", "s.txt:15:38: expected a head from 0 to 0, found '1'"},
    {15, "value 1 rank 0 KV bf16 cells 0 heads 0 input", "s.txt:15:40: expected 'at', found 'input'"},
    {15, "value 1 rank 0 KV bf16 cells 0 heads 0 at x",
     "s.txt:15:43: expected an offset from 0 to 18446744073709551615"},
    {14, "value 0 rank 0 Q bf16 cells 0 heads 0 input", "s.txt:15:42: expected the end of the line, found 'at'"},
    {18, "", "s.txt:19:1: expected 'rank', found '0'"},
    {18, "rank 1", "s.txt:18:6: expected '0', found '1'"},
    {19, "1 attend 0>2 x 1", "s.txt:19:1: expected '0', found '1'"},
    {19, "0 attends 0>2 x 1",
     "s.txt:19:3: expected an op (attend, attend_backward, delta, combine or exchange), found"},
    {19, "0 attend 0>4 x 1", "s.txt:19:12: expected a value below 4, found '4'"},
    {19, "0 attend 0-2 x 1", "s.txt:19:11: expected '>', found '-'"},
    {19, "0 attend 0>2", "s.txt:19:13: expected 'x', found the end of the line"},
    {19, "0 attend 0>2 x", "s.txt:19:15: expected a value below 4, found the end of the line"},
    {19, "0 attend 0>2 x 1 after 0", "s.txt:19:24: expected an op below 0, found '0'"},
    {19, "0 attend_backward 0,1>2 x 1>3", "s.txt:19:22: expected ',', found '>'"},
    {19, "0 delta 0>2", "s.txt:19:10: expected ',', found '>'"},
    {19, "0 combine 0 1>2", "s.txt:19:13: expected '>', found '1'"},
    {20, "1 exchange 1: 1>3", "s.txt:20:12: expected 'lane', found '1'"},
    {20, "1 exchange lane 256: 1>3", "s.txt:20:17: expected a lane from 0 to 255, found '256'"},
    {20, "1 exchange lane 1 1>3", "s.txt:20:19: expected ':', found '1'"},
    {20, "1 exchange lane 1: 1>3 after 1", "s.txt:20:30: expected an op below 1, found '1'"},
    {22, "0 exchange lane 2: 1>3", "s.txt:22:20: expected 1>3 on lane 1, as another exchange says, found '1'"},
    {22, "0 exchange lane 1: 2>3", "s.txt:22:20: expected 1>3 on lane 1, as another exchange says, found '2'"},
    {23, "", "s.txt:24:1: expected 'end', found the end of the text"},
    {23, "rank 2", "s.txt:23:1: expected 'end', found 'rank'"},
    {23, "end end", "s.txt:23:5: expected the end of the line, found 'end'"},
    {23, "end\nvalue", "s.txt:24:1: expected the end of the text, found 'value'"},
};

TEST(ScheduleText, SaysWhereATextIsBrokenAndWhatWasExpected) {
  EXPECT_EQ(read_text(small_with(0, ""), "s.txt").ops.size(), 3u);
  for (const Broken& broken : kBroken) {
    try {
      (void)read_text(small_with(broken.line, broken.instead), "s.txt");
      ADD_FAILURE() << "was read: " << broken.instead;
    } catch (const InvalidInput& e) {
      EXPECT_EQ(std::string(e.what()).substr(0, std::string_view(broken.message).size()), broken.message);
    }
  }
}

TEST(ScheduleText, RefusesEveryTextThatIsCutShort) {
  const std::string text = small_with(0, "");
  for (std::size_t length = 0; length + 1 < text.size(); ++length)  // the last line needs no line end
    EXPECT_THROW((void)read_text(text.substr(0, length), "s.txt"), InvalidInput) << length;
}

TEST(ScheduleText, BlanksCommentsAndEmptyLinesMeanNothing) {
  std::string text = small_with(0, "");
  std::string spaced = "# by hand\r\n\n";
  for (char c : text)
    if (c == '\n')
      spaced += " \t # note\r\n\n  \n";
    else if (c == '>' || c == ',' || c == ':')
      spaced += fmt::format(" {}\t", c);
    else
      spaced += c;
  EXPECT_EQ(write_text(read_text(spaced, "spaced")), write_text(read_text(text, "text")));
}

TEST(ScheduleText, NamingManyCellsTakesTextOrIsRefused) {
  // 600 regions of about 131,000 cells each would be 78 million cells from 40 KB of text.
  std::string text =
      "meshattn schedule 1\nranks 65536\nbatch 1\nseq_q 131072\nseq_kv 131072\nheads 1\nkv_heads 1\nhead_dim 1\n"
      "dtype bf16\nmask full\npartition zigzag\npass forward\npeak_bytes 0\n";
  for (int v = 0; v < 600; ++v) text += fmt::format("value {} rank 0 Q bf16 cells {}-131071 heads 0\n", v, v);
  try {
    (void)read_text(text, "s.txt");
    ADD_FAILURE() << "was read";
  } catch (const InvalidInput& e) {
    EXPECT_NE(std::string(e.what()).find("the regions have more than 67108864 cells in all"), std::string::npos);
  }
}

}  // namespace
}  // namespace meshattn

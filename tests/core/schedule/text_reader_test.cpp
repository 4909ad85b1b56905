#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/schedule/text.h"

namespace meshattn {
namespace {

/// Lines 2–13: the problem. 14–17: values. 18–20: rank 0. 21–22: rank 1.
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
    {11, "partition document-zigzag", "s.txt:2:1: partition document-zigzag needs mask documents:FILE"},
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

TEST(ScheduleTextReader, SaysWhereATextIsBrokenAndWhatWasExpected) {
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

TEST(ScheduleTextReader, RefusesEveryTextThatIsCutShort) {
  const std::string text = small_with(0, "");
  for (std::size_t length = 0; length + 1 < text.size(); ++length)  // the last line needs no line end
    EXPECT_THROW((void)read_text(text.substr(0, length), "s.txt"), InvalidInput) << length;
}

TEST(ScheduleTextReader, IgnoresBlanksCommentsAndEmptyLines) {
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

TEST(ScheduleTextReader, RefusesAShortTextThatNamesVeryManyCells) {
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

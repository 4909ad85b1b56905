#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "core/schedule/schedule.h"

namespace meshattn {

/// The text form of a schedule: one problem field, value or op per line. `#` begins a comment; blank lines are ignored.
/// core/schedule/README.md explains an example line by line.
///
///     meshattn schedule 1
///     ranks 2                                       followed by batch, seq_q, seq_kv, heads, kv_heads, head_dim,
///     dtype, …                                             mask, partition, pass, peak_bytes, in this order mask
///     window 4096 documents 5000 3192          full, causal or window W; `documents` and their lengths, if any
///     partition zigzag cuts 3                       `cuts` if there is more than one
///     value 0 rank 0 Q bf16 cells 0 heads 0-3 at 512 input      ranges include both ends: cells 0-2,5;
///     value 1 rank 1 O fp32 cells 0-1 heads 0-3                 `at` its arena offset (all values or none);
///     …                                                         `input` or `output` if the value is one
///     rank 0                                        every rank has this line, even without ops
///     0 attend 0>4 1>5 x 2 3                        rows q>o, columns kv
///     1 attend_backward 0,1,2>6 x 3>7               rows q,dO,delta>dQ, columns kv>dKV
///     2 delta 0,1>2                                 o,dO>delta
///     3 combine 4,5>8 after 0 2                     sources>made; `after`: reuse waits on earlier ops of the rank
///     4 exchange lane 1: 2>6 7>3                    transfers source>made, with the same ids at both ends
///     end
///
/// Transfers are numbered in the order of their made values. A transfer that no exchange lists is not written. All ids
/// in the schedule's arrays must exist.
/// @throws InvalidSchedule if an exchange mixes lanes, or a wait is not on an earlier op of its rank.
void write_text(const Schedule& schedule, std::ostream& out);
[[nodiscard]] std::string write_text(const Schedule& schedule);

/// Reads the text that `write_text` writes. All ids in the result exist and regions fit the problem; `verify` proves
/// the rest. Takes memory in proportion to the text.
/// @throws InvalidInput "file:line:column: expected …, found …".
[[nodiscard]] Schedule read_text(std::string_view text, std::string_view file_name);

}  // namespace meshattn

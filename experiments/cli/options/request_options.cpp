#include "core/algorithms/catalogue.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"

namespace meshattn {

namespace po = boost::program_options;

void add_cluster_options(po::options_description& options) {
  po::options_description cluster = option_group("cluster");
  cluster.add_options()                                                                                       //
      ("cluster", text_value("NAME"), "a cluster that meshattn topology lists, or a file")                    //
      ("set", po::value<std::vector<std::string>>()->value_name("KEY=VALUE"),                                 //
       "change a figure of the cluster, such as nic.bandwidth_GBps=25; may repeat")                           //
      ("framework", text_value("NAME"), "whose kernels run, if not this project's: pytorch-ring, or a file")  //
      ("topologies", text_value("DIR"), "the folder of clusters; also by environment: MESHATTN_TOPOLOGIES");
  options.add(cluster);
}

void add_request_options(po::options_description& options) {
  po::options_description problem = option_group("problem");
  problem.add_options()                                                                                          //
      ("model", text_value("NAME"), "a public model: its heads, head dim and mask; or give them")                //
      ("heads", text_value("N"), "query heads")                                                                  //
      ("kv-heads", text_value("N"), "key/value heads (as many as query heads)")                                  //
      ("head-dim", text_value("N"), "elements of one head")                                                      //
      ("seq", text_value("TOKENS"), "length of the sequence: 4096, 64K (K = 1024), 1M (M = 1048576)")            //
      ("prefix", text_value("TOKENS"), "cached keys and values before the sequence (none)")                      //
      ("batch", text_value("N"), "sequences at once (1)")                                                        //
      ("dtype", text_value("TYPE"), "of Q, K, V and O: bf16 (default), fp16, fp32")                              //
      ("mask", text_value("MASK"), "full (default), causal, window:W, documents:FILE, window:W+documents:FILE")  //
      ("partition", text_value("NAME"), "contiguous, striped, zigzag, document-contiguous, document-zigzag")     //
      ("pass", text_value("PASS"), "forward (default), backward, both")                                          //
      ("gpus", text_value("N"), "GPUs that share the sequence");
  options.add(problem);
  add_cluster_options(options);
  po::options_description algorithm = option_group("algorithm");
  algorithm.add_options()                                                                                        //
      ("algorithm", text_value("NAME"), algorithm_names().c_str())                                               //
      ("tile", text_value("AxB"), "A query by B key/value chunks a GPU; A * B = GPUs, or GPUs / ulysses")        //
      ("tile-backward", text_value("AxB"), "tile of the backward pass, if another")                              //
      ("ulysses", text_value("U"), "usp, ulysses-mesh, double-ring: neighbours that split the heads")            //
      ("inner", text_value("N"), "double-ring, burst: GPUs of an inner ring (those of a node)")                  //
      ("exchange", text_value("STYLE"), "ring (default: from neighbour to neighbour), direct (from the owner)")  //
      ("slices", text_value("N"), "lanes, each with an Nth of the heads (1); auto: the fastest number")          //
      ("order", text_value("NAME"), "of exchanges and blocks: naive, greedy, optimal, topology (the fastest)")   //
      ("wire-dtype", text_value("TYPE"), "of partial results that travel: fp32 (default), bf16")                 //
      ("placement", text_value("RULE"), "of ranks on GPUs: linear (default), grid:SxT on each node, search")     //
      ("memory-limit", text_value("BYTES"), "of attention values on a GPU, such as 80G (the GPU's memory)");
  options.add(algorithm);
}

}  // namespace meshattn

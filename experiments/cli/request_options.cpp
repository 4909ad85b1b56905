#include "core/algorithms/catalogue.h"
#include "experiments/cli/request.h"

namespace meshattn {

namespace po = boost::program_options;

void add_cluster_options(po::options_description& options) {
  options.add_options()                                                                                 //
      ("cluster", po::value<std::string>()->value_name("NAME"), "a cluster of topologies/, or a file")  //
      ("set", po::value<std::vector<std::string>>()->value_name("KEY=VALUE"),
       "change one number of the cluster, such as nic.bandwidth_GBps=25; may repeat")  //
      ("framework", po::value<std::string>()->value_name("NAME"),
       "what runs on it, if not this project's kernels: pytorch-ring, or a file such as topologies/frameworks has")  //
      ("topologies", po::value<std::string>()->value_name("DIR"),
       "where clusters are; also by environment: MESHATTN_TOPOLOGIES");
}

void add_request_options(po::options_description& options) {
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  options.add_options()                                                                          //
      ("model", text("NAME"), "heads of a public model, see experiments/models; or:")            //
      ("heads", text("N"), "query heads")                                                        //
      ("kv-heads", text("N"), "key/value heads; as many as query heads if not given")            //
      ("head-dim", text("N"), "elements of one head")                                            //
      ("seq", text("TOKENS"), "length of the sequence: 4096, 64K (K = 1024), 1M (M = 1048576)")  //
      ("prefix", text("TOKENS"),
       "keys and values before the sequence that are cached: attended, not queried (none)")  //
      ("batch", text("N"), "sequences at once (1)")                                          //
      ("dtype", text("TYPE"), "of Q, K, V and O: bf16 (usual), fp16, fp32")                  //
      ("mask", text("MASK"),
       "full, causal, window:W (the last W tokens, 4096 or 4K), documents:FILE (causal in each; FILE has their "
       "lengths), "
       "window:W+documents:FILE, full+documents:FILE; the model's, or full, if not given")  //
      ("partition", text("NAME"),
       "how tokens are dealt to the GPUs: contiguous (usual for full and window), zigzag (usual for causal), striped, "
       "document-zigzag and document-contiguous (every run of documents with a 16th of the tokens for itself); for "
       "documents, if not given, whichever of contiguous and the zigzags is estimated to be the fastest")  //
      ("gpus", text("N"), "GPUs that share the sequence");
  add_cluster_options(options);
  options.add_options()                                                                                               //
      ("algorithm", text("NAME"), algorithm_names().c_str())                                                          //
      ("tile", text("AxB"), "A query chunks by B key/value chunks a GPU; A times B = --gpus, or --gpus / --ulysses")  //
      ("tile-backward", text("AxB"), "of the backward pass, if another; no data moves between the passes")            //
      ("ulysses", text("U"), "usp, ulysses-mesh, double-ring: neighbours that share out the heads")                   //
      ("inner", text("N"), "double-ring, burst: GPUs of an inner ring; those of a node if not given")                 //
      ("exchange", text("STYLE"), "ring (usual: from neighbour to neighbour) or direct (from the owner to each)")     //
      ("slices", text("N"),
       "cut the heads into N slices, each moving on a lane of its own and entering nodes elsewhere (1); auto: as many "
       "as are estimated to be the fastest, at most the GPUs of a node")  //
      ("order", text("NAME"),
       "of communication and blocks: naive, greedy (the paper's), optimal, topology (optimal with queries and keys on "
       "two "
       "lanes); the fastest of them if not given")                                           //
      ("pass", text("PASS"), "forward (usual), backward, both (one after the other)")        //
      ("wire-dtype", text("TYPE"), "in which partial results travel: fp32 (usual) or bf16")  //
      ("placement", text("RULE"),
       "of ranks on GPUs: linear (usual); grid:SxT, S places of a tile's row by T of its column on a node; search, "
       "whichever of these is estimated to be the fastest")  //
      ("memory-limit", text("BYTES"),
       "most bytes of attention values on a GPU: 80G (decimal); the GPU's memory if not given");
}

}  // namespace meshattn

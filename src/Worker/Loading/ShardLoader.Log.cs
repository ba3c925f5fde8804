using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Loading;

sealed partial class ShardLoader
{
    [LoggerMessage(Level = LogLevel.Information, Message =
        "View {ViewVersion}, stage {Stage}: {Shard} ready, {WeightBytes} bytes of weights, {KvBlocks} KV blocks, {ResidentBytes} bytes in all, kernels {InstructionSet}, {Threads} threads, from {Source}")]
    partial void LogLoaded(
        ulong viewVersion, int stage, string shard, long weightBytes, int kvBlocks, long residentBytes, string instructionSet, int threads, string source);
}

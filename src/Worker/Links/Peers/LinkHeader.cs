using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links.Peers;

/// <summary>What a message between two ranks is part of. See RankFrame in reduce.proto.</summary>
/// <param name="Layer">Of the model; for the head, one more than the last.</param>
/// <param name="Half">0 attention, 1 feed-forward.</param>
/// <param name="Chunk">From 0, within one exchange.</param>
readonly record struct LinkHeader(ulong ViewVersion, ulong StepId, RankFrame.Types.Content Content, uint Layer, byte Half, uint Chunk)
{
    public override string ToString() => $"{Content} of view {ViewVersion}, step {StepId}, layer {Layer}, half {Half}, chunk {Chunk}";
}

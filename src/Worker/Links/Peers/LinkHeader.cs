using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links.Peers;

/// <summary>What a message between two ranks is part of. See RankFrame in reduce.proto.</summary>
/// <param name="Exchange">From 0, within the step.</param>
/// <param name="Chunk">From 0, within the exchange.</param>
readonly record struct LinkHeader(ulong ViewVersion, ulong StepId, RankFrame.Types.Content Content, uint Exchange, uint Chunk)
{
    public override string ToString() => $"{Content} of view {ViewVersion}, step {StepId}, exchange {Exchange}, chunk {Chunk}";
}

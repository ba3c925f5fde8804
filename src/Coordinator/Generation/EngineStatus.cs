namespace LlamaCluster.Coordinator.Generation;

/// <param name="Reason">One line for people: what the engine waits for or what went wrong; empty when ready.</param>
public sealed record EngineStatus(bool Ready, string Reason, ulong ViewVersion);

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>How an attempt at a view ended.</summary>
/// <param name="Reason">One line for people.</param>
/// <param name="WasReady">It served before it ended.</param>
/// <param name="NeedsOtherWorkers">Trying again with the same workers is of no use.</param>
sealed record ViewEnd(string Reason, bool WasReady, bool NeedsOtherWorkers);

namespace LlamaCluster.Worker.Sources;

/// <summary>A chunk of weights arrived damaged, out of order, or not at all. One line; worth another try, from the first tensor that is not whole.</summary>
sealed class FetchException(string message) : Exception(message);

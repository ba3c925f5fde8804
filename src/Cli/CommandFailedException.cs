namespace LlamaCluster.Cli;

/// <summary>A command cannot do what it was asked to. The message is one line: what, where, and what to do.</summary>
sealed class CommandFailedException(string message) : Exception(message);

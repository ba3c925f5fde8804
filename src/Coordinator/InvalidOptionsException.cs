namespace LlamaCluster.Coordinator;

/// <summary>An option has a value that cannot be. The message is one line that names the option, the value and what is allowed.</summary>
public sealed class InvalidOptionsException(string message) : Exception(message);

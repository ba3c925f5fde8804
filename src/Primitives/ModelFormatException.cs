namespace LlamaCluster.Primitives;

/// <summary>
/// A model's files are missing, damaged or of a kind this program does not run. The message is one line for the user:
/// which file, which field, what is wrong with it, and what to do where there is something to do.
/// </summary>
public sealed class ModelFormatException(string message, Exception? inner = null) : Exception(message, inner);

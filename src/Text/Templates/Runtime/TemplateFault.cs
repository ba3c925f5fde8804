namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>Stops the reading or rendering of a template; <see cref="ChatTemplate"/> adds the line and hands it on.</summary>
sealed class TemplateFault(string reason, int? line = null, bool raisedByTemplate = false) : Exception(reason)
{
    /// <summary>Where it is known better than from the node being rendered.</summary>
    public int? Line { get; } = line;

    public bool RaisedByTemplate { get; } = raisedByTemplate;
}

namespace LlamaCluster.Text.Templates;

/// <summary>
/// A chat template cannot be read, refuses the conversation (<c>raise_exception</c>), or exceeds its limits. The message is one line
/// that names the template's line.
/// </summary>
public sealed class ChatTemplateException(string reason, int line, bool raisedByTemplate, Exception? inner = null)
    : Exception($"chat template, line {line}: {OneLine(reason)}", inner)
{
    /// <summary>What went wrong, in one line without the place: for <c>raise_exception</c> the template's own words.</summary>
    public string Reason { get; } = OneLine(reason);

    /// <summary>Line of the template, from 1.</summary>
    public int Line { get; } = line;

    /// <summary>The template itself refused its input, for example because roles do not alternate: the caller's fault, not the model's.</summary>
    public bool RaisedByTemplate { get; } = raisedByTemplate;

    static string OneLine(string text) => text.ReplaceLineEndings(" ");
}

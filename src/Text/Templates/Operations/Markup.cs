using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>Escaping for HTML, which some templates use though prompts are none.</summary>
static class Markup
{
    /// <summary>The text escaped, or as it is if it is markup already.</summary>
    public static string Escape(StringValue text) => text.IsMarkup ? text.Text
        : text.Text.Replace("&", "&amp;").Replace(">", "&gt;").Replace("<", "&lt;").Replace("'", "&#39;").Replace("\"", "&#34;");
}

using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Text.Templates;

namespace LlamaCluster.Model.Text;

/// <summary>A chat template that is not read yet.</summary>
/// <param name="Origin">The file and field that it comes from, for messages.</param>
sealed record TemplateSource(string Text, string Origin)
{
    public ChatTemplate Parse()
    {
        try
        {
            return ChatTemplate.Parse(Text);
        }
        catch (ChatTemplateException e)
        {
            throw new ModelFormatException($"{Origin}: {ErrorText.Sentence(e.Message)}", e);
        }
    }
}

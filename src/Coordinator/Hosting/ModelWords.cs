using LlamaCluster.Coordinator.Api;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>What the API is told of a model.</summary>
/// <param name="TemplateProblem">Why the model's chat template is not used; null if there is nothing wrong with it.</param>
sealed record ModelWords(ServedModel Served, string? TemplateProblem)
{
    /// <exception cref="ModelFormatException">The tokenizer's files are missing or damaged.</exception>
    public static ModelWords Open(string path, ModelIdentity identity, int contextLength)
    {
        var text = ModelTextReader.Open(path);
        var (template, problem) = Parse(text.TemplateSource);
        var served = new ServedModel(
            identity.Name, identity.Digest, contextLength, text.Tokenizer, template, text.BosText ?? "", text.EosText ?? "", ModelFiles.ChangedAt(path));
        return new ModelWords(served, problem);
    }

    /// <summary>A model whose template cannot be read still completes texts.</summary>
    static (ChatTemplate? Template, string? Problem) Parse(string? source)
    {
        try
        {
            return (source is null ? null : ChatTemplate.Parse(source), null);
        }
        catch (ChatTemplateException e)
        {
            return (null, e.Message);
        }
    }
}

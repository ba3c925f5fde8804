using System.Text;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>Makes targets, as types of .NET: it is called across the two copies of the product.</summary>
public static class TargetOpener
{
    public static OpenedParts Open(string name)
    {
        var target = Create(name);
        return (target.Seeds, [.. target.Words.Select(Encoding.UTF8.GetBytes)], target.Run, target);
    }

    static ITarget Create(string name) => name switch
    {
        "gguf" => new GgufTarget(),
        "safetensors" => new SafetensorsTarget(),
        "tokenizer.json" => new TokenizerFileTarget("tokenizer.json"),
        "tokenizer.model" => new TokenizerFileTarget("tokenizer.model"),
        "jinja" => new TemplateTarget(),
        "go templates" => new GoTemplateTarget(),
        "json bodies" => new ApiTarget(),
        "json schema" => GrammarTarget.OfSchemas(),
        "regex" => GrammarTarget.OfExpressions(),
        "gbnf" => GrammarTarget.OfGbnf(),
        "grpc messages" => new MessageTarget(),
        _ => throw new ArgumentException($"there is no target '{name}'"),
    };
}

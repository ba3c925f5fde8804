using LlamaCluster.Cli.Hub;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Coordinator;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Hub;

public sealed class HubSelectionTests
{
    static readonly string[] Many =
    [
        "README.md", "config.json", "M-Q4_K_M.gguf", "M-UD-Q4_K_XL.gguf", "M-Q8_0.gguf", "mmproj-F16.gguf", "M.imatrix.gguf",
        "BF16/M-BF16-00001-of-00002.gguf", "BF16/M-BF16-00002-of-00002.gguf", "Q6_K/M-Q6_K-00001-of-00002.gguf",
    ];

    [Theory]
    [InlineData("hf://o/r", "M-Q4_K_M.gguf")]
    [InlineData("hf://o/r:q8_0", "M-Q8_0.gguf")]
    [InlineData("hf://o/r:UD-Q4_K_XL", "M-UD-Q4_K_XL.gguf")]
    [InlineData("hf://o/r:BF16", "BF16/M-BF16-00001-of-00002.gguf,BF16/M-BF16-00002-of-00002.gguf")]
    [InlineData("hf://o/r:M-BF16", "BF16/M-BF16-00001-of-00002.gguf,BF16/M-BF16-00002-of-00002.gguf")]
    [InlineData("hf://o/r:M-Q8_0.gguf", "M-Q8_0.gguf")]
    public void A_model_is_found_by_its_type_or_its_name(string reference, string files)
    {
        var choice = HubSelection.Choose(HubReference.Parse(reference), Files(Many));

        Assert.Equal(files, string.Join(',', choice.Files.Select(file => file.Name)));
        Assert.Equal(choice.Files[0].Name, choice.Model);
    }

    [Theory]
    [InlineData("hf://o/r:Q5_K", "there is no such model; there are BF16/M-BF16, M-Q4_K_M, M-Q8_0, M-UD-Q4_K_XL, Q6_K/M-Q6_K")]
    [InlineData("hf://o/r:Q6_K", "the repository has 1 of the 2 parts of Q6_K/M-Q6_K-00001-of-00002.gguf")]
    [InlineData("hf://o/r:M", "5 models are called so: give :FILE of one of")]
    [InlineData("hf://o/r:safetensors", "has neither GGUF files nor a config.json with safetensors")]
    public void What_is_not_one_model_is_refused_with_those_that_there_are(string reference, string expected) =>
        Assert.Contains(expected, Assert.Throws<HubException>(() => HubSelection.Choose(HubReference.Parse(reference), Files(Many))).Message);

    [Fact]
    public void Of_several_without_the_usual_type_none_is_guessed() => Assert.Contains(
        "hf://o/r has 2 models: add :QUANT or :FILE of one of a-F16, a-Q8_0",
        Assert.Throws<HubException>(() => HubSelection.Choose(HubReference.Parse("hf://o/r"), Files("a-F16.gguf", "a-Q8_0.gguf"))).Message);

    [Theory]
    [InlineData("hf://org/repo", "org/repo", "main", null)]
    [InlineData("hf://org/Repo-1.5_x:Q4_K_M", "org/Repo-1.5_x", "main", "Q4_K_M")]
    [InlineData("hf://org/repo@refs/pr/1:dir/file.gguf", "org/repo", "refs/pr/1", "dir/file.gguf")]
    public void References_have_their_parts(string text, string repository, string revision, string? variant)
    {
        Assert.Equal(new HubReference(repository, revision, variant), HubReference.Parse(text));
        Assert.Equal(text, $"{HubReference.Parse(text)}");
    }

    [Theory]
    [InlineData("hf://org")]
    [InlineData("hf://org/repo/more")]
    [InlineData("hf://../repo")]
    [InlineData("hf://org/..")]
    [InlineData("hf://org/repo:")]
    [InlineData("hf://org/repo:a:b")]
    [InlineData("hf://org/repo@")]
    [InlineData("hf://org/re po")]
    [InlineData("hf://org/repo:../x")]
    [InlineData("hf://org/repo?x=1")]
    public void Other_texts_are_no_references(string text) =>
        Assert.Contains("must be hf://ORG/REPO[@REVISION][:QUANT]", Assert.Throws<InvalidOptionsException>(() => HubReference.Parse(text)).Message);

    [Fact]
    public void Options_come_before_variables_and_tokens_do_not_go_over_plain_connections()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("token"), "of-home\n");
        File.WriteAllText(folder.File("other"), "of-file\n");
        Dictionary<string, string> variables = new() { ["HF_HOME"] = folder.Path, ["HF_ENDPOINT"] = "https://mirror.example.org/hub/" };
        HubSettings Read(string? endpoint = null, string? token = null) => HubSettings.Read(endpoint, token, name => variables.GetValueOrDefault(name));

        Assert.Equal(new HubSettings(new("https://mirror.example.org/hub/"), "of-home", folder.File("hub")), Read());
        Assert.Equal(
            (new Uri("https://other.example.org/"), "of-file"),
            (Read("https://other.example.org", folder.File("other")).Endpoint, Read(null, folder.File("other")).Token));
        Assert.Null(Read("http://mirror.example.org").Token);
        Assert.Equal("of-home", Read("http://127.0.0.1:80").Token);
        Assert.Contains("the token would be readable on the way", Refused(() => Read("http://mirror.example.org", folder.File("other"))));
        Assert.Contains("--token-file: nowhere does not exist", Refused(() => Read(null, "nowhere")));
        Assert.Contains("--hub is ftp://x; it must be the address of a hub", Refused(() => Read("ftp://x")));
        (variables["HF_TOKEN"], variables["HF_HUB_CACHE"]) = ("of-variable", folder.File("elsewhere"));
        Assert.Equal(("of-variable", folder.File("elsewhere")), (Read().Token, Read().Cache));
    }

    [Fact]
    public async Task Without_an_endpoint_the_command_says_how_to_give_one()
    {
        if (Environment.GetEnvironmentVariable("HF_ENDPOINT") is { Length: > 0 }) return;
        var run = await CommandRun.OfAsync("", "pull", "hf://no-such-organisation/no-such-model");

        Assert.Equal(
            (2, "error: hf://no-such-organisation/no-such-model: give the address of a hub or of a mirror: --hub URL, or HF_ENDPOINT"),
            (run.ExitCode, run.ErrorLine));
    }

    static string Refused(Action read) => Assert.Throws<InvalidOptionsException>(read).Message;

    static HubFile[] Files(params string[] names) => [.. names.Select(name => new HubFile(name, 1, new string('a', 64)))];
}

# %% [markdown]
# # 07 · Comparison: which family for which purpose?
#
# ## Idea
#
# ## Build
#
# ## Train
#
# ## Look
#
# ## Measure
#
# ### The lecture's claims, one by one
#
# ### Which family for which purpose?
#
# ## Explore
#
# ## Break it
#
# ## Where each family stands today
#
# The lecture names ten systems in use. Which family is each of them, and who says so?
#
# | System | Family | Why this one, and what is known |
# |---|---|---|
# | **Images** (이미지 생성): DALL-E | autoregressive, then diffusion | The first wrote an image as a text: a transformer predicts the codes of a discrete autoencoder, one after the other ([2102.12092](https://arxiv.org/abs/2102.12092)). The second decodes an embedding by diffusion ([2204.06125](https://arxiv.org/abs/2204.06125)). |
# | Midjourney | not published | Its makers have described no model. What others write about it is a guess. |
# | Stable Diffusion | diffusion between an autoencoder's encoder and decoder | Diffusing a short code is far cheaper than diffusing pixels; the autoencoder is trained with a little KL or a codebook, and with a discriminator ([2112.10752](https://arxiv.org/abs/2112.10752)). The third version takes the straight path of chapter 06 ([2403.03206](https://arxiv.org/abs/2403.03206)). |
# | **Text** (텍스트 생성): the GPT series | autoregressive | Words are discrete and come in an order, so chapter 00's factorisation needs no approximation: the likelihood is exact ([2005.14165](https://arxiv.org/abs/2005.14165)). |
# | **Speech** (음성 합성): WaveNet | autoregressive | The same for amplitudes of sound, 16,000 of them a second, hence slow ([1609.03499](https://arxiv.org/abs/1609.03499)). |
# | Tacotron | autoregressive | One step a frame of a spectrogram instead of one an amplitude ([1703.10135](https://arxiv.org/abs/1703.10135)); a WaveNet turned the second version's spectrogram into sound ([1712.05884](https://arxiv.org/abs/1712.05884)). |
# | **Video** (비디오 생성): Sora | diffusion on an autoencoder's code | A transformer denoises patches in space and time, says the makers' report *Video generation models as world simulators* (2024), which leaves out sizes and data; the image model of that kind is published ([2212.09748](https://arxiv.org/abs/2212.09748)). |
# | RunwayML | diffusion on an autoencoder's code | So its first model, which repaints a given video ([2302.03011](https://arxiv.org/abs/2302.03011)). |
# | **3-D** (3D 모델링): NeRF | none | A network that holds one scene, fitted to photographs of it ([2003.08934](https://arxiv.org/abs/2003.08934)): it renders, and has no distribution to draw from. It becomes a part of generators: a GAN ([2112.07945](https://arxiv.org/abs/2112.07945)), or a scene optimised under a diffusion model ([2209.14988](https://arxiv.org/abs/2209.14988)). |
# | 3D GAN | GAN | Chapter 04 with cubes for pixels ([1610.07584](https://arxiv.org/abs/1610.07584)). |
#
# Three things to see. **Autoencoders are everywhere**, mostly unnamed: half of these systems generate codes and
# let a decoder draw. **What is discrete and ordered is generated in order**; pictures, video and shapes are
# diffused. And the **GAN is seldom alone today**: its discriminator sharpens the decoders above and shortens
# diffusion (below).
#
# ### Outlook
#
# The lecture expects four things. Each exists in part, and each mixes families:
#
# - **Multimodal** (멀티모달 생성): one transformer predicts the next word and denoises the next image
#   ([2408.11039](https://arxiv.org/abs/2408.11039)).
# - **Personal** (개인화된 생성): a handful of photographs of a subject, and a diffusion model learns its name
#   ([2208.12242](https://arxiv.org/abs/2208.12242)).
# - **Real time** (실시간 생성): the way back, learnt in one to four calls by consistency
#   ([2303.01469](https://arxiv.org/abs/2303.01469)) or with a discriminator's help
#   ([2311.17042](https://arxiv.org/abs/2311.17042)).
# - **Controllable** (제어 가능한 생성): edges, depths or poses steer a frozen diffusion model
#   ([2302.05543](https://arxiv.org/abs/2302.05543)); you have steered one by a label.
#
# It also names the fields that change: creation, entertainment, education, medicine (창작, 엔터테인먼트, 교육,
# 의료). Films and pictures are in the table above. In **medicine**, a diffusion model places the atoms of
# proteins and of what binds to them (Abramson et al. 2024, *Nature* 630). In **education** a change need not be a
# gain: pupils who practised with a plain GPT-4 did better with it, and worse without it than pupils who never had
# it; a version that gave hints instead of answers did most of that harm away (Bastani et al. 2024, *Generative AI
# Can Harm Learning*). None of this is measured here.
#
# ## Quiz
#
# ## Exercises
#
# ## Summary

//! The tables of techniques: from names and parameters to transforms.

use crate::batch::{BatchTransform, CutMix, FMix, Mixup, MixupCutMix, ResizeMix};
use crate::blur::{BoxBlur, Defocus, GaussianBlur, GlassBlur, MedianBlur, MotionBlur, ZoomBlur};
use crate::check;
use crate::color::{
    Autocontrast, Brightness, ChannelAffine, ChannelDrop, ChannelShuffle, Clahe, ColorJitter, Contrast, Equalize,
    FancyPca, Gamma, Gray, Hue, Invert, Posterize, RgbShift, Saturation, Sharpen, Solarize, ToneCurve,
};
use crate::combine::{Maybe, OneOf, SomeOf};
use crate::domain::{HairOverlay, MicroscopeCircle, StainJitter};
use crate::draw::Draw;
use crate::enhance::{
    BackgroundRemoval, BenGraham, CircleCrop, CropGray, Denoise, GrayWorld, HairRemoval, LungMask, RadiusNormalize,
    ShadesOfGray, Window,
};
use crate::erase::{CoarseDropout, Cutout, GridDropout, GridMask, PixelDropout, RandomErasing};
use crate::error::{Error, Result};
use crate::geometry::{
    Affine, AlternatingFlip, CenterCrop, Dihedral, Elastic, FiveCrop, Flip, GridDistortion, GridShuffle, Letterbox,
    OpticalDistortion, Pad, PadCrop, Perspective, PiecewiseAffine, RandomCrop, RandomResizedCrop, Resize, Rotate,
    ThinPlate,
};
use crate::noise::{GaussianNoise, IsoNoise, MultiplicativeNoise, SaltPepper};
use crate::policy::{AugMix, AutoAugment, RandAugment, TrivialAugment};
use crate::quality::{Compression, Downscale};
use crate::transform::{Resolved, Transform};
use crate::volume::{Intensity, Projection, VolumeCrop, VolumeFlip, VolumeResize, VolumeRotate};
use crate::weather::{Fog, Rain, Shadow};
use candle_core::{Result as TensorResult, Tensor};
use data::Image;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A line of a table: of [`TRANSFORMS`] or of [`BATCH_TRANSFORMS`].
pub struct Entry<T: ?Sized> {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Whether the type has a parameter `p` itself; to the others the table gives one.
    own_p: bool,
    build: fn(Value) -> Result<Box<T>, serde_json::Error>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Entry<dyn Transform> {
    const fn of<T: Transform + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self::nested::<T, T>(name, doc)
    }
    /// A combinator `T`; `R` is the same one over resolved parameters.
    const fn nested<T, R>(name: &'static str, doc: &'static str) -> Self
    where
        T: Transform + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned,
    {
        Self {
            name,
            doc,
            own_p: false,
            build: |params| Ok(Box::new(serde_json::from_value::<T>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<R>(params)?),
        }
    }
    /// The type has a probability itself.
    const fn with_its_own_p(self) -> Self {
        Self { own_p: true, ..self }
    }
}

impl Entry<dyn BatchTransform> {
    const fn of<T>(name: &'static str, doc: &'static str) -> Self
    where
        T: BatchTransform + Serialize + DeserializeOwned + 'static,
    {
        Self {
            name,
            doc,
            own_p: true,
            build: |params| Ok(Box::new(serde_json::from_value::<T>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<T>(params)?),
        }
    }
}

type Picture = Entry<dyn Transform>;
type Batch = Entry<dyn BatchTransform>;

/// All transforms.
pub const TRANSFORMS: &[Entry<dyn Transform>] = &[
    Picture::of::<Affine>("affine", "Turned, moved, scaled and sheared about the center."),
    Picture::of::<AlternatingFlip>("alternating_flip", "Left and right exchanged in every other epoch (Jordan 2024)."),
    Picture::of::<AugMix>("augmix", "Chains of operations, mixed (Hendrycks et al. 2020)."),
    Picture::of::<AutoAugment>("auto_augment", "One of 25 pairs of operations (Cubuk et al. 2019)."),
    Picture::of::<Autocontrast>("autocontrast", "Each channel's values stretched from 0 to 255."),
    Picture::of::<BackgroundRemoval>("background_removal", "All but one range of colors overwritten."),
    Picture::of::<BenGraham>("ben_graham", "Each pixel against its surroundings (Graham 2015)."),
    Picture::of::<BoxBlur>("box_blur", "The mean of a square around each pixel."),
    Picture::of::<Brightness>("brightness", "Lighter or darker."),
    Picture::of::<CenterCrop>("center_crop", "The middle of the picture."),
    Picture::of::<ChannelAffine>("channel_affine", "Another exposure of each channel (Recursion)."),
    Picture::of::<ChannelDrop>("channel_drop", "Some channels overwritten."),
    Picture::of::<ChannelShuffle>("channel_shuffle", "The channels in random order."),
    Picture::of::<CircleCrop>("circle_crop", "The largest disc about the middle, dark borders cut off."),
    Picture::of::<Clahe>("clahe", "Local contrast, limited (Zuiderveld 1994)."),
    Picture::of::<CoarseDropout>("coarse_dropout", "Several rectangles hidden."),
    Picture::of::<ColorJitter>("color_jitter", "Brightness, contrast, saturation, hue in random order."),
    Picture::of::<Compression>("compression", "What saving as a JPEG or a WebP leaves."),
    Picture::of::<Contrast>("contrast", "More or less contrast."),
    Picture::of::<CropGray>("crop_gray", "Dark borders cut off."),
    Picture::of::<Cutout>("cutout", "Squares hidden (DeVries & Taylor 2017)."),
    Picture::of::<Defocus>("defocus", "The mean over a disc, as of a lens out of focus (Hendrycks & Dietterich 2019)."),
    Picture::of::<Denoise>("denoise", "Noise smoothed away, edges kept (Tomasi and Manduchi 1998)."),
    Picture::of::<Dihedral>("dihedral", "One of the eight symmetries of the square."),
    Picture::of::<Downscale>("downscale", "Fewer pixels, then as many as before."),
    Picture::of::<Elastic>("elastic", "Displaced by smooth noise (Simard et al. 2003)."),
    Picture::of::<Equalize>("equalize", "All values equally frequent."),
    Picture::of::<FancyPca>(
        "fancy_pca",
        "A shift along the principal axes of a picture's colors (Krizhevsky et al. 2012).",
    ),
    Picture::of::<FiveCrop>("five_crop", "One of the corners or the middle (Krizhevsky et al. 2012)."),
    Picture::of::<Flip>("flip", "Left and right exchanged, or top and bottom.").with_its_own_p(),
    Picture::of::<Fog>("fog", "Patches of white before the middle."),
    Picture::of::<Gamma>("gamma", "Values raised to a random power."),
    Picture::of::<GaussianBlur>("gaussian_blur", "Blurred by a Gaussian."),
    Picture::of::<GaussianNoise>("gaussian_noise", "Noise from the normal distribution."),
    Picture::of::<GlassBlur>("glass_blur", "Pixels exchanged with others nearby (Hendrycks & Dietterich 2019)."),
    Picture::of::<Gray>("gray", "Without color."),
    Picture::of::<GrayWorld>("gray_world", "The mean color made gray (Buchsbaum 1980)."),
    Picture::of::<GridDistortion>("grid_distortion", "Columns and rows stretched by unequal factors."),
    Picture::of::<GridDropout>("grid_dropout", "A rectangle hidden in each cell of a grid."),
    Picture::of::<GridMask>("grid_mask", "A turned grid of squares hidden (Chen et al. 2020)."),
    Picture::of::<GridShuffle>("grid_shuffle", "Tiles of a grid in random order."),
    Picture::of::<HairOverlay>("hair_overlay", "Dark hairs, as on skin."),
    Picture::of::<HairRemoval>("hair_removal", "Dark hairs on skin filled in (Lee et al. 1997)."),
    Picture::of::<Hue>("hue", "The color circle turned."),
    Picture::of::<Intensity>("intensity", "All values scaled and shifted."),
    Picture::of::<Invert>("invert", "The negative."),
    Picture::of::<IsoNoise>("iso_noise", "The noise of a sensor in bad light."),
    Picture::of::<Letterbox>("letterbox", "To a square with stripes beside the short side."),
    Picture::of::<LungMask>("lung_mask", "The lungs of a computed tomography, the rest overwritten."),
    Picture::nested::<Maybe, Maybe<Resolved>>("maybe", "Another transform with a probability.").with_its_own_p(),
    Picture::of::<MedianBlur>("median_blur", "The median of a square around each pixel."),
    Picture::of::<MicroscopeCircle>("microscope_circle", "What lies outside a circle hidden."),
    Picture::of::<MotionBlur>("motion_blur", "The mean along a line, as of a moving camera."),
    Picture::of::<MultiplicativeNoise>("multiplicative_noise", "Random factors, of all or each pixel or channel."),
    Picture::nested::<OneOf, OneOf<Resolved>>("one_of", "One of several transforms."),
    Picture::of::<OpticalDistortion>("optical_distortion", "A barrel or a pincushion, as of a lens."),
    Picture::of::<Pad>("pad", "A frame around the picture."),
    Picture::of::<PadCrop>("pad_crop", "A border around, then a crop anywhere (He et al. 2016)."),
    Picture::of::<Perspective>("perspective", "Seen from elsewhere: a quadrilateral stretched over the picture."),
    Picture::of::<PiecewiseAffine>("piecewise_affine", "A grid pulled out of shape, affine between its points."),
    Picture::of::<PixelDropout>("pixel_dropout", "Single pixels hidden."),
    Picture::of::<Posterize>("posterize", "Only the upper bits."),
    Picture::of::<Projection>("projection", "A volume as a picture: adjacent slices, three planes, or extreme values."),
    Picture::of::<RadiusNormalize>("radius_normalize", "Round pictures resized to one radius (Graham 2015)."),
    Picture::of::<Rain>("rain", "Blurred streaks of rain."),
    Picture::of::<RandAugment>("rand_augment", "Some operations of one strength (Cubuk et al. 2020)."),
    Picture::of::<RandomCrop>("random_crop", "A rectangle anywhere in the picture."),
    Picture::of::<RandomErasing>("random_erasing", "A rectangle erased (Zhong et al. 2020).").with_its_own_p(),
    Picture::of::<RandomResizedCrop>(
        "random_resized_crop",
        "A crop of random area and aspect, resized to a square (Szegedy et al. 2015).",
    ),
    Picture::of::<Resize>("resize", "To a square: squashed, cropped or letterboxed; or one side to a length."),
    Picture::of::<RgbShift>("rgb_shift", "A number added to each channel."),
    Picture::of::<Rotate>("rotate", "About the center by a random angle."),
    Picture::of::<SaltPepper>("salt_pepper", "Some pixels white, some black."),
    Picture::of::<Saturation>("saturation", "More or less colorful."),
    Picture::of::<ShadesOfGray>("shades_of_gray", "The color of the light made gray (Finlayson and Trezzi 2004)."),
    Picture::of::<Shadow>("shadow", "Polygons that are darker."),
    Picture::of::<Sharpen>("sharpen", "Sharper or softer."),
    Picture::of::<Solarize>("solarize", "The negative of light values."),
    Picture::nested::<SomeOf, SomeOf<Resolved>>("some_of", "Some of several transforms."),
    Picture::of::<StainJitter>("stain_jitter", "Amounts of the stains of histology (Tellez et al. 2018)."),
    Picture::of::<ThinPlate>("thin_plate", "Bent like sheet metal (Bookstein 1989)."),
    Picture::of::<ToneCurve>("tone_curve", "The tone curve bent."),
    Picture::of::<TrivialAugment>("trivial_augment", "One operation of any strength (Müller and Hutter 2021)."),
    Picture::of::<VolumeCrop>("volume_crop", "A box of one size out of a volume."),
    Picture::of::<VolumeFlip>("volume_flip", "A volume mirrored along each axis."),
    Picture::of::<VolumeResize>("volume_resize", "A volume to one size."),
    Picture::of::<VolumeRotate>("volume_rotate", "Quarter turns of a volume, and any angle about its depth."),
    Picture::of::<Window>("window", "A range of values stretched over all bytes."),
    Picture::of::<ZoomBlur>("zoom_blur", "The mean of magnified middles (Hendrycks & Dietterich 2019)."),
];

/// All batch transforms.
pub const BATCH_TRANSFORMS: &[Entry<dyn BatchTransform>] = &[
    Batch::of::<CutMix>("cutmix", "A rectangle of another picture pasted (Yun et al. 2019)."),
    Batch::of::<FMix>("fmix", "A shape of low frequencies of another picture pasted (Harris et al. 2020)."),
    Batch::of::<Mixup>("mixup", "Pictures and targets averaged in pairs (Zhang et al. 2018)."),
    Batch::of::<MixupCutMix>("mixup_cutmix", "Averages or rectangles by a coin (timm)."),
    Batch::of::<ResizeMix>("resize_mix", "Another picture shrunk and pasted (Qin et al. 2020)."),
];

/// Other names of transforms, each with the one in the table.
const ALIASES: &[(&str, &str)] = &[("crop_from_gray", "crop_gray")];

/// The transform `name` with `params`, an object.
///
/// Each takes a probability `p`, by default 1 where its own documentation says nothing else.
///
/// # Errors
/// Unknown names and parameters, impossible values.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Transform>> {
    Ok(Box::new(named(name, params)?))
}

fn named(name: &str, mut params: Value) -> Result<Named> {
    let entry = find(TRANSFORMS, "transform", name)?;
    let p = if entry.own_p { None } else { params.as_object_mut().and_then(|params| params.remove("p")) };
    let p = p.map_or(Ok(1.0), serde_json::from_value).map_err(|source| wrong("transform", name, source))?;
    let transform = (entry.build)(params).map_err(|source| wrong("transform", name, source))?;
    let named = Named { name: entry.name, p, transform };
    named.validate()?;
    Ok(named)
}

/// A transform of the table: how often, and what it is called in a record.
#[derive(Debug)]
struct Named {
    name: &'static str,
    p: f64,
    transform: Box<dyn Transform>,
}

impl Transform for Named {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        draw.step(self.name, image, |image, draw| {
            // What happens always needs no number to say so.
            let happens = self.p >= 1.0 || draw.chance("happens", self.p);
            if happens { self.transform.apply(image, draw) } else { image }
        })
    }
    fn validate(&self) -> Result<()> {
        check::probability(&format!("transform '{}'", self.name), self.p)?;
        self.transform.validate()
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        self.transform.check_channels(channels)
    }
    fn is_random(&self) -> bool {
        self.p < 1.0 || self.transform.is_random()
    }
}

/// `params` of the transform `name` with every default written out, also of transforms inside it.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    let built = named(name, params.clone())?;
    let entry = find(TRANSFORMS, "transform", name)?;
    let mut params = params;
    if !entry.own_p
        && let Some(params) = params.as_object_mut()
    {
        params.remove("p");
    }
    let mut resolved = (entry.resolve)(params).map_err(|source| wrong("transform", name, source))?;
    if !entry.own_p
        && built.is_random()
        && let Some(resolved) = resolved.as_object_mut()
    {
        resolved.insert("p".into(), built.p.into());
    }
    Ok(resolved)
}

/// The batch transform `name` with `params`, an object.
///
/// # Errors
/// As [`build`].
pub fn build_batch(name: &str, params: Value) -> Result<Box<dyn BatchTransform>> {
    let entry = find(BATCH_TRANSFORMS, "batch transform", name)?;
    let transform = (entry.build)(params).map_err(|source| wrong("batch transform", name, source))?;
    transform.validate()?;
    Ok(Box::new(NamedBatch { name: entry.name, transform }))
}

/// A batch transform of the table, and what it is called in a record.
#[derive(Debug)]
struct NamedBatch {
    name: &'static str,
    transform: Box<dyn BatchTransform>,
}

impl BatchTransform for NamedBatch {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        draw.record(self.name, |draw| self.transform.apply(images, targets, draw))
    }
    fn validate(&self) -> Result<()> {
        self.transform.validate()
    }
}

/// `params` of the batch transform `name` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve_batch(name: &str, params: Value) -> Result<Value> {
    build_batch(name, params.clone())?;
    let entry = find(BATCH_TRANSFORMS, "batch transform", name)?;
    (entry.resolve)(params).map_err(|source| wrong("batch transform", name, source))
}

fn find<T: ?Sized>(table: &'static [Entry<T>], kind: &'static str, name: &str) -> Result<&'static Entry<T>> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, now)| now);
    let known = || table.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    table.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown { kind, name: name.into(), known: known() })
}

fn wrong(kind: &'static str, name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { kind, name: name.into(), source }
}
